// SPDX-License-Identifier: Apache-2.0
//
// The table of VMs.

import {el, keyed, mark, say} from './dom.js';
import {count, number, rate, shortName} from './format.js';
import {Spark} from './spark.js';

const STATES = {
  ACTIVE: 'good', CONNECTED: 'busy', LISTENING: 'idle', PROVISIONING: 'busy', SUSPENDED: 'idle', DRAINING: 'warn',
  DRAINED: 'warn', DELETING: 'warn', FAILED: 'bad',
};

export function stateBadge() {
  return el('span', {class: 'badge'});
}

export function showState(badge, state) {
  mark(badge, 'data-kind', STATES[state] ?? 'idle');
  say(badge, state ?? 'UNKNOWN');
}

// Conditions that somebody should know of: what is wrong, or not yet so.
export function troubles(vm) {
  const found = [];
  for (const condition of vm.status?.conditions ?? []) {
    const bad = condition.type === 'Degraded' || condition.type === 'QuotaLimited';
    const holds = condition.status === 'TRUE';
    if (bad && holds) found.push({kind: 'warn', text: condition.type, title: condition.message ?? condition.reason});
    if (condition.type === 'GuestReady' && condition.status !== 'UNKNOWN') {
      found.push({kind: holds ? 'good' : 'idle', text: holds ? 'Ready' : 'Not ready', title: condition.message});
    }
  }
  return found;
}

const groups = (vm) => (vm.spec?.groups ?? ['default']).join(', ');

const COLUMNS = [
  {name: 'Name', sort: (vm) => vm.name, text: true},
  {name: 'State', sort: (vm) => vm.status?.state ?? '', text: true},
  {name: 'CID', sort: (vm) => number(vm.status?.cid), class: 'wide'},
  {name: 'Groups', sort: groups, text: true, class: 'wide'},
  {name: 'Open', sort: (vm, model) => model.open(vm), class: 'wide'},
  {name: 'Last minute', class: 'chart'},
  {name: 'In', sort: (vm, model) => model.track(vm)?.rates?.in ?? 0},
  {name: 'Out', sort: (vm, model) => model.track(vm)?.rates?.out ?? 0},
  {name: 'Notes', text: true, class: 'wide'},
];

export class VmTable {
  constructor(model) {
    this.model = model;
    this.column = COLUMNS[0];
    this.down = false;
    this.filter = '';
    const kind = (column) => `${column.class ?? ''} ${column.text || column.class === 'chart' ? '' : 'num'}`.trim();
    this.heads = COLUMNS.map((column) => el(
        'th', {scope: 'col', class: kind(column)},
        column.sort === undefined ? column.name
                                  : el('button', {type: 'button', onclick: () => this.sortBy(column)}, column.name)));
    this.body = el('tbody');
    this.note = el('p', {class: 'note'});
    this.search = el('input', {
      type: 'search', placeholder: 'Filter by name, group, label', 'aria-label': 'Filter VMs',
      oninput: (event) => {
        this.filter = event.target.value.toLowerCase();
        this.render();
      },
    });
    this.element = el(
        'section', {class: 'card', 'aria-labelledby': 'vms-title'},
        el('header', {class: 'card-head'}, el('h2', {id: 'vms-title'}, 'VMs'), this.search),
        el('div', {class: 'scroll'},
           el('table', {class: 'list vms', 'aria-labelledby': 'vms-title'},
              el('thead', {}, el('tr', {}, this.heads)), this.body)),
        this.note);
  }

  sortBy(column) {
    this.down = this.column === column ? !this.down : !column.text;
    this.column = column;
    this.render();
  }

  // Those that the filter lets through, in no order.
  chosen() {
    if (this.filter === '') return this.model.vms;
    return this.model.vms.filter((vm) => {
      const labels = Object.entries(vm.labels ?? {}).map(([key, value]) => `${key}=${value}`);
      return [vm.name, groups(vm), ...labels].some((text) => text.toLowerCase().includes(this.filter));
    });
  }

  render() {
    const {model, column, down} = this;
    const vms = [...this.chosen()].sort((a, b) => {
      const x = column.sort(a, model);
      const y = column.sort(b, model);
      const order = x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1;
      return x !== y && down ? -order : order;
    });
    this.heads.forEach((head, i) => {
      mark(head, 'aria-sort', COLUMNS[i] === column ? (down ? 'descending' : 'ascending') : null);
    });
    keyed(this.body, vms, (vm) => vm.uid, (vm) => this.make(vm), (row, vm) => this.update(row, vm));
    const hidden = model.vms.length - vms.length;
    say(this.note, model.moreVms ? 'The first 1,000 VMs are shown; kinsockctl vm list shows all.'
        : hidden > 0 ? `${hidden} of ${model.vms.length} do not match.` : '');
    this.note.hidden = this.note.textContent === '';
  }

  make(vm) {
    const id = shortName(vm.name);
    const parts = {
      state: stateBadge(), cid: el('td', {class: 'num wide'}), groups: el('td', {class: 'wide'}),
      open: el('td', {class: 'num wide'}), spark: new Spark(), into: el('td', {class: 'num'}),
      out: el('td', {class: 'num'}), notes: el('td', {class: 'wide'}),
    };
    const row = el(
        'tr', {'data-vm': id}, el('th', {scope: 'row'}, el('a', {href: `#/vms/${encodeURIComponent(id)}`}, id)),
        el('td', {}, parts.state), parts.cid, parts.groups, parts.open, el('td', {class: 'chart'}, parts.spark.element),
        parts.into, parts.out, parts.notes);
    row.parts = parts;
    return row;
  }

  update(row, vm) {
    const {parts} = row;
    const track = this.model.track(vm);
    showState(parts.state, vm.status?.state);
    say(parts.cid, String(vm.status?.cid ?? ''));
    say(parts.groups, groups(vm));
    say(parts.open, count(this.model.open(vm)));
    parts.spark.show(track?.in ?? [], track?.out ?? []);
    say(parts.into, track?.rates ? rate(track.rates.in) : '–');
    say(parts.out, track?.rates ? rate(track.rates.out) : '–');
    keyed(parts.notes, troubles(vm), (each) => each.text, () => el('span', {class: 'badge'}), (badge, each) => {
      mark(badge, 'data-kind', each.kind);
      mark(badge, 'title', each.title);
      say(badge, each.text);
    });
  }
}
