// SPDX-License-Identifier: Apache-2.0
//
// Who talks to whom: a row for each sender, a column for each receiver, in the cell what flows now. A connection that
// was denied is red and crossed at the place of who called and whom.

import {el, keyed, mark, put, say} from './dom.js';
import {bytes, clock, count, rate, shortRate, since} from './format.js';
import {command} from './commands.js';
import {HOST} from './model.js';

// Beyond, cells have no text; and beyond, rows are left out.
const ROOMY = 14;
const MAX_ENDS = 128;

// Each step is ten times the one before.
function level(perSecond) {
  if (perSecond < 0.5) return 0;
  return Math.min(6, Math.max(1, Math.floor(Math.log10(perSecond)) - 1));
}

function describe(from, to, cell, denial) {
  const flows = `${from} to ${to}: ${rate(cell.rate)}, ${count(cell.open)} open, ${bytes(cell.bytes)} in all`;
  if (denial === null) return flows;
  const by = denial.policy ? ` by ${denial.policy}` : '';
  return `${flows}; denied ${count(denial.count)} times, last${by} (port ${denial.port})`;
}

export class Matrix {
  constructor(model) {
    this.model = model;
    this.ends = [];
    this.filled = new Map();    // by from and to: the button in the cell
    this.chosen = null;
    this.table = el('table', {class: 'matrix'});
    this.note = el('p', {class: 'note'});
    this.detail = el('div', {class: 'pair', 'aria-live': 'polite', hidden: true});
    this.busiest = el('ol', {class: 'busiest'});
    this.summary = el('div', {class: 'summary'}, el('h3', {}, 'Busiest now'), this.busiest);
    this.element = el(
        'section', {class: 'card', 'aria-labelledby': 'matrix-title'},
        el('header', {class: 'card-head'}, el('h2', {id: 'matrix-title'}, 'Who talks to whom'),
           el('ul', {class: 'legend', 'aria-hidden': 'true'}, el('li', {class: 'quiet'}, 'quiet'),
              el('li', {class: 'l2'}, 'KB/s'), el('li', {class: 'l5'}, 'MB/s'),
              el('li', {class: 'denied'}, 'denied'))),
        el('div', {class: 'matrix-body'},
           el('div', {class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Matrix of senders and receivers'},
              this.table),
           el('div', {class: 'matrix-side'}, this.detail, this.summary)),
        this.note);
  }

  endsNow(vms) {
    const names = vms.map((vm) => vm.name.replace('vms/', ''));
    const shown = new Set(names);
    let host = false;
    const talks = new Map();
    for (const cell of this.model.cells.values()) {
      if (cell.from === HOST || cell.to === HOST) host = true;
      talks.set(cell.from, (talks.get(cell.from) ?? 0) + cell.bytes);
      talks.set(cell.to, (talks.get(cell.to) ?? 0) + cell.bytes);
    }
    let ends = [...shown].sort();
    this.leftOut = Math.max(0, ends.length - MAX_ENDS);
    if (this.leftOut > 0) {
      ends = ends.sort((a, b) => (talks.get(b) ?? 0) - (talks.get(a) ?? 0)).slice(0, MAX_ENDS).sort();
    }
    return host ? [HOST, ...ends] : ends;
  }

  render(vms) {
    const ends = this.endsNow(vms);
    if (ends.join('\n') !== this.ends.join('\n')) this.build(ends);
    this.update();
    const notes = [];
    if (ends.length === 0) notes.push('There is no VM yet. It begins with: kinsockctl vm create NAME');
    if (this.leftOut > 0) notes.push(`${this.leftOut} VMs that carry the least are left out.`);
    if (this.model.morePairs) {
      notes.push('Of all pairs, the 1,000 that have carried the most are shown, and the 1,000 denied last.');
    }
    say(this.note, notes.join(' '));
    this.note.hidden = notes.length === 0;
  }

  build(ends) {
    this.ends = ends;
    this.filled.clear();
    this.roomy = ends.length <= ROOMY;
    this.table.className = `matrix ${this.roomy ? 'roomy' : 'dense'}`;
    this.places = new Map();
    const head = el('tr', {}, el('td', {class: 'corner'}, this.roomy ? 'from ↓ to →' : ''),
                    ends.map((to) => el('th', {scope: 'col', title: to}, el('span', {}, to))));
    const rows = ends.map((from) => {
      const row = el('tr', {}, el('th', {scope: 'row', title: from}, from));
      for (const to of ends) {
        const place = el('td', from === to ? {class: 'self'} : {});
        this.places.set(`${from}\n${to}`, place);
        row.append(place);
      }
      return row;
    });
    const caption = 'Bytes per second from the VM of the row to that of the column';
    put(this.table, el('caption', {class: 'offscreen'}, caption), el('thead', {}, head), el('tbody', {}, rows));
  }

  update() {
    const {model} = this;
    const now = Date.now();
    for (const key of this.filled.keys()) {
      if (model.cells.has(key)) continue;
      this.filled.get(key).remove();
      this.filled.delete(key);
    }
    for (const [key, cell] of model.cells) {
      const place = this.places.get(key);
      if (place === undefined) continue;
      const [from, to] = key.split('\n');
      const denial = model.denial(from, to, now);
      let button = this.filled.get(key);
      if (button === undefined) {
        button = el('button', {type: 'button', 'data-from': from, 'data-to': to,
                               onclick: () => this.choose(from, to)});
        place.append(button);
        this.filled.set(key, button);
      }
      const step = level(cell.rate);
      const denied = denial !== null && (denial.fresh ? 'denied' : 'denied old');
      const classes = `cell ${denied || (step === 0 ? 'quiet' : `l${step}`)}`;
      if (button.className !== classes) button.className = classes;
      const flowing = step > 0 ? shortRate(cell.rate) : '';
      say(button, denied ? `✕${this.roomy && flowing ? ` ${flowing}` : ''}` : this.roomy ? flowing || '·' : '');
      const words = describe(from, to, cell, denial);
      mark(button, 'aria-label', words);
      mark(button, 'title', words);
      mark(button, 'data-rate', Math.round(cell.rate));
      mark(button, 'aria-pressed', this.chosen === key ? 'true' : 'false');
    }
    this.showChosen();
    this.showBusiest();
  }

  showBusiest() {
    const busy = [...this.model.cells.values()].filter((cell) => cell.rate >= 0.5)
                     .sort((a, b) => b.rate - a.rate).slice(0, 6);
    const most = busy[0]?.rate ?? 1;
    keyed(this.busiest, busy, (cell) => `${cell.from} ${cell.to}`, (cell) => {
      const fill = el('span', {class: 'fill'});
      const value = el('span', {class: 'value'});
      const name = el('button', {type: 'button', onclick: () => this.choose(cell.from, cell.to)},
                      `${cell.from} → ${cell.to}`);
      const item = el('li', {}, name, value, el('span', {class: 'meter', 'aria-hidden': 'true'}, fill));
      item.parts = {fill, value};
      return item;
    }, ({parts}, cell) => {
      say(parts.value, rate(cell.rate));
      parts.fill.style.width = `${Math.max(1, 100 * cell.rate / most)}%`;
    });
    this.summary.hidden = busy.length === 0;
  }

  choose(from, to) {
    const key = `${from}\n${to}`;
    this.chosen = this.chosen === key ? null : key;
    this.shown = null;
    this.update();
  }

  showChosen() {
    this.detail.hidden = this.chosen === null;
    if (this.chosen === null) return;
    const [from, to] = this.chosen.split('\n');
    const cell = this.model.cell(from, to);
    const denial = this.model.denial(from, to);
    const facts = [
      ['Now', rate(cell?.rate ?? 0)],
      ['In all', bytes(cell?.bytes ?? 0)],
      ['Open', count(cell?.open ?? 0)],
      ['Accepted', count(cell?.accepted ?? 0)],
      ['Refused', count(cell?.refused ?? 0)],
      ['Denied', count(cell?.denied ?? 0)],
      ['Credit stalls', count(cell?.stalls ?? 0)],
    ];
    // Built once for each choice, so that a button is not taken from under a finger.
    if (this.shown !== this.chosen + String(denial?.port)) {
      this.shown = this.chosen + String(denial?.port);
      const vm = from === HOST ? to : from;
      this.values = new Map(facts.map(([name]) => [name, el('dd')]));
      this.denied = el('p', {class: 'denial'});
      put(this.detail, el('h3', {}, from, ' → ', to), this.denied,
          el('dl', {class: 'facts'}, facts.map(([name]) => el('div', {}, el('dt', {}, name), this.values.get(name)))),
          denial !== null && command('kinsockctl', 'explain', from, `${to}:${denial.port}`),
          command('kinsockctl', 'pairs', '--vm', vm), command('kinsockctl', 'conn', 'list', '--vm', vm));
    }
    for (const [name, value] of facts) say(this.values.get(name), value);
    say(this.denied, denial === null ? '' :
        `Denied ${denial.policy ? `by ${denial.policy}` : `(${denial.reason})`}: port ${denial.port}, last at ` +
        `${clock(denial.at)}, ${since(denial.at)} ago.`);
    this.denied.hidden = denial === null;
  }
}
