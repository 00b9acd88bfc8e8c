// SPDX-License-Identifier: Apache-2.0
//
// Puts the page together: which view is shown, and how the daemon is.

import {el, mark, put, say} from './dom.js';
import {clock, count, duration, rate} from './format.js';
import {Model} from './model.js';
import {ask, Events, Poll} from './feed.js';
import {Matrix} from './matrix.js';
import {VmTable} from './vms.js';
import {VmView} from './vm.js';
import {ConnectionsView} from './connections_view.js';
import {EventTail} from './events.js';
import {commands} from './commands.js';

const model = new Model();
const content = document.getElementById('content');
let view = null;
let loaded = false;

class Overview {
  constructor() {
    this.matrix = new Matrix(model);
    this.table = new VmTable(model);
    this.events = new EventTail(model, {title: 'Events', most: 30});
    this.tiles = ['VMs', 'Running', 'Connections', 'Traffic', 'Denied lately'].map((name) => {
      const value = el('dd', {'data-tile': name}, '–');
      const tile = el('div', {}, el('dt', {}, name), value);
      tile.value = value;
      return tile;
    });
    this.element = el(
        'div', {class: 'view'}, el('h1', {class: 'offscreen'}, 'Overview'), el('dl', {class: 'tiles'}, this.tiles),
        this.matrix.element, this.table.element, el('div', {class: 'columns'}, this.events.element,
        commands('In a terminal', [
          ['kinsockctl', 'top'],
          ['kinsockctl', 'vm', 'list', '-o', 'wide'],
          ['kinsockctl', 'pairs', '--watch'],
          ['kinsockctl', 'events', '-f'],
          ['kinsockctl', 'info'],
        ])));
  }

  async look() {
    model.setPairs((await ask('/api/v1/pairs?top=1000&with_denied=true')).body);
  }

  render() {
    this.table.render();
    this.matrix.render(model.vms);
    this.events.render();
    let open = 0;
    let flow = 0;
    for (const cell of model.cells.values()) {
      open += cell.open;
      flow += cell.rate;
    }
    const now = Date.now();
    const denied = [...model.cells.values()].filter(({from, to}) => model.denial(from, to, now)?.fresh).length;
    const counts = model.info?.counts ?? {};
    const values = [count(counts.vms ?? 0), count(counts.activeVms ?? 0), count(open), rate(flow),
                    `${count(denied)} ${denied === 1 ? 'pair' : 'pairs'}`];
    this.tiles.forEach((tile, i) => say(tile.value, values[i]));
    mark(this.tiles[4], 'class', denied > 0 ? 'alarm' : null);
  }
}

class EventsView {
  constructor() {
    this.tail = new EventTail(model, {title: 'What has happened', most: 500});
    this.element = el('div', {class: 'view'}, el('h1', {class: 'offscreen'}, 'Events'), this.tail.element,
                      commands('In a terminal', [['kinsockctl', 'events', '-f'], ['kinsockctl', 'vm', 'watch']]));
  }

  async look() {}

  render() {
    this.tail.render();
  }
}

const vmOf = (hash) => /^#\/vms\/([^/]+)$/.exec(hash)?.[1];

function go() {
  const {hash} = location;
  const id = vmOf(hash);
  let name = 'overview';
  if (id !== undefined) {
    let vm = id;
    try {
      vm = decodeURIComponent(id);
    } catch {
      // Then it is what it looks like.
    }
    view = new VmView(model, vm);
  } else if (hash === '#/connections') {
    view = new ConnectionsView(model);
    name = 'connections';
  } else if (hash === '#/events') {
    view = new EventsView();
    name = 'events';
  } else {
    view = new Overview();
  }
  for (const link of document.querySelectorAll('nav a')) {
    mark(link, 'aria-current', link.dataset.view === name && id === undefined ? 'page' : null);
  }
  document.title = id === undefined ? 'kinsock' : `${view.id} – kinsock`;
  put(content, view.element);
  content.dataset.view = id === undefined ? name : 'vm';
  if (loaded) view.render();
  poll.now();
}

async function look() {
  const shown = view;
  const [info, vms] = await Promise.all(
      [ask('/api/v1/info'), ask('/api/v1/vms?view=FULL&page_size=1000'), shown.look()]);
  model.setInfo(info.body);
  model.setVms(vms.body, vms.at);
  view.render();
  if (!loaded) performance.mark('drawn');
  loaded = true;
  content.dataset.looks = String(Number(content.dataset.looks ?? 0) + 1);
}

// How the daemon is, in the corner, and across the page when it is not there.
const link = {
  box: document.getElementById('link'),
  text: document.getElementById('link-text'),
  gone: document.getElementById('gone'),
};
let lastLive = null;
let countdown = null;

function tell(state, detail = {}) {
  mark(link.box, 'data-state', state === 'live' && model.info?.draining ? 'draining' : state);
  clearInterval(countdown);
  if (state === 'live') lastLive = new Date();
  mark(document.body, 'data-stale', state === 'gone');
  link.gone.hidden = state !== 'gone';
  if (state === 'live') {
    say(link.text, model.info?.draining ? 'Live, draining' : 'Live');
    const start = Date.parse(model.info?.startTime);
    say(document.getElementById('daemon'),
        `kinsockd ${model.info?.version ?? ''}, up ${duration((Date.now() - start) / 1000)}, ` +
        `${count(model.info?.counts?.reactors ?? 0)} reactors`);
  } else if (state === 'paused') {
    say(link.text, 'Paused');
  } else if (state === 'busy') {
    say(link.text, 'Busy: asking less often');
  } else {
    say(link.text, 'No answer');
    const shown = lastLive === null ? '' : ` What is shown is from ${clock(lastLive)}.`;
    say(link.gone, `kinsockd does not answer.${shown} This page goes on by itself when it is back.`);
    const until = Date.now() + detail.wait;
    const tick = () => say(link.text, `No answer, again in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`);
    tick();
    countdown = setInterval(tick, 500);
  }
}

const poll = new Poll(look, tell);
new Events({
  event: (event) => {
    model.addEvent(event);
    scheduleRender();
  },
  forget: () => {
    model.forgetEvents();
    scheduleRender();
  },
  synced: () => scheduleRender(),
});

// Many events are one change of what is seen.
let scheduled = false;
function scheduleRender() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    if (loaded) view.render();
  });
}

addEventListener('hashchange', go);
go();
