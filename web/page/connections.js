// SPDX-License-Identifier: Apache-2.0
//
// A table of connections: those that are open, the busiest first, or those that ended lately, and why.

import {el, keyed, mark, put, say} from './dom.js';
import {bytes, count, number, rate, seconds, shortName, since} from './format.js';
import {word} from './commands.js';
import {Meter} from './meter.js';

function endName(end) {
  const who = end?.vm ? shortName(end.vm) : end?.cid === 2 ? 'host' : `cid ${end?.cid ?? '?'}`;
  const port = number(end?.port);
  const title = end?.hostPath ? `${end.hostPath} (pid ${end.hostPid ?? '?'}, uid ${end.hostUid ?? '?'})` : null;
  return {who, port, title};
}

function endCell(end) {
  const {who, port, title} = endName(end);
  const name = end?.vm ? el('a', {href: `#/vms/${encodeURIComponent(who)}`}, who) : who;
  return el('td', {title}, name, el('span', {class: 'port'}, `:${port}`));
}

// How much of its window a sender has left.
function showCredit(meter, flow) {
  const window = number(flow?.bufAlloc);
  const credit = number(flow?.credit);
  const share = window > 0 ? credit / window : 0;
  const kind = share < 0.1 ? 'bad' : share < 0.35 ? 'warn' : 'good';
  meter.show(share, `${bytes(credit)} of ${bytes(window)} may be sent`, kind);
}

const OPEN = ['Connection', 'From', 'To', 'State', 'Age', '→ now', '← now', '→ all', '← all', 'Credit →',
              'Credit ←', 'Waits', 'Stalled'];
const CLOSED = ['Connection', 'From', 'To', 'Why it ended', 'Ended', '→ all', '← all'];
const NUMBERS = /now|all|Age|Ended|Waits|Stalled/;

export class ConnectionTable {
  constructor(title, closed = false) {
    this.closed = closed;
    this.body = el('tbody');
    this.note = el('p', {class: 'note'});
    const heads = (closed ? CLOSED : OPEN).map(
        (name) => el('th', {scope: 'col', class: NUMBERS.test(name) ? 'num' : ''}, name));
    this.element = el(
        'section', {class: 'card'}, el('header', {class: 'card-head'}, el('h2', {}, title)),
        el('div', {class: 'scroll', tabindex: '0', role: 'group', 'aria-label': title},
           el('table', {class: 'list conns', 'aria-label': title}, el('thead', {}, el('tr', {}, heads)), this.body)),
        this.note);
  }

  render(response) {
    const connections = response?.connections ?? [];
    keyed(this.body, connections, (each) => each.name, (each) => this.make(each),
          (row, each) => this.update(row, each));
    say(this.note, response === null ? 'Loading' : connections.length === 0
        ? (this.closed ? 'None has ended or was refused in the last minute.' : 'None is open.')
        : response.nextPageToken ? 'There are more; kinsockctl conn list shows all.' : '');
    this.note.hidden = this.note.textContent === '';
  }

  make(connection) {
    const short = shortName(connection.name);
    const name = el('th', {scope: 'row'}, el('code', {title: `kinsockctl conn reset ${word(connection.name)}`}, short));
    const number = () => el('td', {class: 'num'});
    const row = el('tr', {'data-connection': short});
    if (this.closed) {
      row.parts = {why: el('td', {}, el('span', {class: 'badge'})), ended: number(), there: number(), back: number()};
    } else {
      row.parts = {
        state: el('td'), age: number(), rateThere: number(), rateBack: number(), there: number(), back: number(),
        creditThere: new Meter('Credit of the initiator', 'small'),
        creditBack: new Meter('Credit of the target', 'small'),
        queued: number(), stalled: number(),
      };
    }
    const cells = Object.values(row.parts).map((part) => part instanceof Meter ? el('td', {}, part.element) : part);
    put(row, name, endCell(connection.initiator), endCell(connection.target), cells);
    return row;
  }

  update(row, connection) {
    const {parts} = row;
    const there = connection.toTarget ?? {};
    const back = connection.toInitiator ?? {};
    say(parts.there, bytes(number(there.bytes)));
    say(parts.back, bytes(number(back.bytes)));
    if (this.closed) {
      const badge = parts.why.firstChild;
      const reason = connection.closeReason ?? 'FINISHED';
      mark(badge, 'data-kind', reason === 'POLICY_DENIED' ? 'bad' : reason === 'FINISHED' ? 'good' : 'idle');
      say(badge, reason);
      say(parts.ended, `${since(connection.closeTime)} ago`);
      return;
    }
    say(parts.state, `${connection.state ?? ''}${connection.type === 'SEQPACKET' ? ' · messages' : ''}`);
    say(parts.age, since(connection.startTime));
    say(parts.rateThere, rate(number(there.bytesPerSecond)));
    say(parts.rateBack, rate(number(back.bytesPerSecond)));
    showCredit(parts.creditThere, there);
    showCredit(parts.creditBack, back);
    say(parts.queued, bytes(number(there.queuedBytes) + number(back.queuedBytes)));
    const stalls = number(there.creditStalls) + number(back.creditStalls);
    const time = seconds(there.stalled) + seconds(back.stalled);
    say(parts.stalled, stalls === 0 ? '–' : `${count(stalls)} × · ${time.toFixed(1)} s`);
  }
}
