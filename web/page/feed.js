// SPDX-License-Identifier: Apache-2.0
//
// Asks the daemon again and again, and listens to its events.

const PERIOD = 1000;
const PATIENCE = 8000;
const LONGEST_WAIT = 10_000;
// What is remembered of what has happened, when the page opens.
const TAIL = 500;

export class Refused extends Error {
  constructor(status, body) {
    super(body?.message || `HTTP status ${status}`);
    this.status = status;
  }
}

// The JSON at `path`, and when it was so, milliseconds.
export async function ask(path) {
  const response = await fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(PATIENCE)});
  const age = /age;dur=(\d+)/.exec(response.headers.get('Server-Timing') ?? '');
  const at = Date.now() - Number(age?.[1] ?? 0);
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, body);
  return {body, at};
}

// Calls `look`, which asks and shows, each second while somebody can see the page, and says how that goes: "live";
// "busy", the daemon asks for patience; "gone", with the time of the next attempt; "paused", nobody looks.
export class Poll {
  constructor(look, tell) {
    this.look = look;
    this.tell = tell;
    this.failures = 0;
    this.timer = null;
    this.running = false;
    document.addEventListener('visibilitychange', () => this.now());
  }

  // At once, whatever was planned.
  now() {
    clearTimeout(this.timer);
    if (this.running) this.again = true;
    else void this.round();
  }

  async round() {
    if (document.visibilityState === 'hidden') {
      this.tell('paused');
      return;
    }
    this.running = true;
    this.again = false;
    const begin = performance.now();
    let wait;
    try {
      await this.look();
      this.failures = 0;
      this.tell('live');
      // Who answers slowly is asked less.
      const took = performance.now() - begin;
      wait = Math.min(LONGEST_WAIT, Math.max(PERIOD - took, took));
    } catch (error) {
      const busy = error instanceof Refused && error.status === 503;
      ++this.failures;
      wait = Math.min(LONGEST_WAIT, PERIOD * 2 ** Math.min(this.failures - 1, 4));
      // Many pages do not all come back at the same time.
      wait *= 0.75 + Math.random() / 2;
      this.tell(busy ? 'busy' : 'gone', {wait, why: error.message});
    }
    this.running = false;
    this.timer = setTimeout(() => void this.round(), this.again ? 0 : wait);
  }
}

// The events of the daemon, of which one page of this browser keeps a stream and tells the others: a browser has few
// connections, and the daemon few streams.
export class Events {
  constructor(on) {
    this.on = on;  // {event, forget, synced}
    this.kept = [];
    this.last = null;
    this.name = crypto.randomUUID();
    this.channel = new BroadcastChannel('kinsock-events');
    this.channel.onmessage = ({data}) => this.hear(data);
    this.channel.postMessage({kind: 'hello', from: this.name});
    if (navigator.locks === undefined) this.open();
    // Held until the page closes; then another one gets it.
    else void navigator.locks.request('kinsock-events', () => new Promise(() => this.open()));
  }

  hear(data) {
    if (data.kind === 'hello') {
      if (this.source !== undefined) this.channel.postMessage({kind: 'events', to: data.from, events: this.kept});
    } else if (data.to !== undefined && data.to !== this.name) {
      return;  // what another page missed
    } else if (data.kind === 'forget') {
      this.forget();
    } else {
      for (const event of data.events) this.take(event);
    }
  }

  open() {
    const from = this.last === null ? `tail=${TAIL}` : `resource_version=${encodeURIComponent(this.last)}`;
    this.source = new EventSource(`/api/v1/events?${from}`);
    this.source.onmessage = ({data}) => {
      const event = JSON.parse(data);
      this.take(event);
      this.channel.postMessage({kind: 'events', events: [event]});
    };
    this.source.addEventListener('RESOURCE_VERSION_EXPIRED', () => {
      this.forget();
      this.channel.postMessage({kind: 'forget'});
    });
    this.source.onerror = () => {
      // It comes back by itself, unless it was refused.
      if (this.source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => this.open(), 5000);
    };
  }

  take(event) {
    if (event.resourceVersion !== undefined) this.last = event.resourceVersion;
    if (event.type === 'SYNCED') {
      this.on.synced();
      return;
    }
    // A page hears of what happens before it is told what it missed.
    if (this.kept.some(({resourceVersion}) => resourceVersion === event.resourceVersion)) return;
    this.kept.push(event);
    if (this.kept.length > TAIL) this.kept.shift();
    this.on.event(event);
  }

  forget() {
    this.kept = [];
    this.last = null;
    this.on.forget();
  }
}
