// SPDX-License-Identifier: Apache-2.0
//
// The page of one VM: how full its queues are, who waits for credit, its connections and what has become of it.

import {el, keyed, mark, say} from './dom.js';
import {bytes, count, number, percent, rate, seconds, shortName, since} from './format.js';
import {Spark} from './spark.js';
import {showState, stateBadge} from './vms.js';
import {ConnectionTable} from './connections.js';
import {Meter} from './meter.js';
import {EventTail} from './events.js';
import {commands} from './commands.js';
import {ask, Refused} from './feed.js';

const BARS = [
  ['connections', 'Connections open', 'Of those that it may have'],
  ['toGuest', 'Waits for the guest', 'Payload of siblings for which the guest has no receive buffers'],
  ['toHost', 'Waits for host programs', 'Payload of the guest that host programs have not read'],
  ['starved', 'No receive buffer', 'Of the packets for the guest, those that found none'],
  ['rested', 'Transmit ring at rest', 'Of the time, when half of it waited for busy receivers'],
  ['creditIn', 'Used credit of the guest', 'Of the windows of what sends to it; full: all senders wait'],
  ['creditOut', 'Used credit of its peers', 'Of the windows of what it sends to; full: the guest waits'],
  ['stalledIn', 'Stalled towards the guest', 'Of the time, the connection to it that waits the most for credit'],
  ['stalledOut', 'Stalled from the guest', 'Of the time, the connection from it that waits the most for credit'],
];

function bar([id, title, hint]) {
  const meter = new Meter(title);
  const value = el('span', {class: 'value'});
  const row = el('div', {class: 'gauge', 'data-bar': id, title: hint}, el('span', {class: 'gauge-name'}, title),
                 meter.element, value);
  row.show = (share, text) => {
    meter.show(share, text, share > 0.9 ? 'bad' : share > 0.6 ? 'warn' : 'good');
    say(value, text);
  };
  return row;
}

// The flows of a VM's connections, those to it and those from it.
function flowsOf(name, connections) {
  const into = [];
  const out = [];
  for (const each of connections) {
    const initiator = each.initiator?.vm === name;
    const target = each.target?.vm === name;
    if (initiator) {
      out.push([each.name, each.toTarget ?? {}]);
      into.push([each.name, each.toInitiator ?? {}]);
    }
    if (target) {
      into.push([each.name, each.toTarget ?? {}]);
      out.push([each.name, each.toInitiator ?? {}]);
    }
  }
  return {into, out};
}

function usedCredit(flows) {
  let window = 0;
  let credit = 0;
  for (const [, flow] of flows) {
    window += number(flow.bufAlloc);
    credit += Math.min(number(flow.credit), number(flow.bufAlloc));
  }
  return {window, used: window - credit};
}

export class VmView {
  constructor(model, id) {
    this.model = model;
    this.id = id;
    this.open = null;
    this.closed = null;
    this.missing = false;
    this.stalled = new Map();  // by connection and way: seconds, and when
    this.state = stateBadge();
    this.facts = el('dl', {class: 'facts'});
    this.labels = el('ul', {class: 'chips'});
    this.conditions = el('ul', {class: 'conditions'});
    this.spark = new Spark(480, 96);
    this.flow = el('p', {class: 'flow'});
    this.bars = new Map(BARS.map((each) => [each[0], bar(each)]));
    this.connections = new ConnectionTable('Connections');
    this.ended = new ConnectionTable('Ended in the last minute', true);
    this.events = new EventTail(model, {title: 'What has become of it', only: id, most: 50});
    this.absent = el('p', {class: 'card note', hidden: true});
    this.body = el(
        'div', {class: 'columns'},
        el('div', {class: 'column'},
           el('section', {class: 'card'}, el('h2', {}, 'Traffic of the last minute'), this.spark.element, this.flow),
           el('section', {class: 'card'}, el('h2', {}, 'What it is'), this.facts, this.labels, this.conditions)),
        el('div', {class: 'column'},
           el('section', {class: 'card gauges'}, el('h2', {}, 'Queues, credit, stalls'), ...this.bars.values()),
           commands('In a terminal', [
          ['kinsockctl', 'vm', 'get', id, '--stats'],
          ['kinsockctl', 'conn', 'list', '--vm', id, '--by-rate'],
          ['kinsockctl', 'pairs', '--vm', id],
          ['kinsockctl', 'explain', 'host', `${id}:22`],
          ['kinsockctl', 'vmm-args', id, '--vmm', 'qemu'],
          ['kinsockctl', 'ssh', id],
          ['kinsockctl', 'vm', 'drain', id],
        ])));
    this.element = el('div', {class: 'view'},
                      el('header', {class: 'title'}, el('a', {href: '#/'}, '← VMs'), el('h1', {}, id), this.state),
                      this.absent, this.body, this.connections.element, this.ended.element, this.events.element);
  }

  async look() {
    const of = `vm=${encodeURIComponent(`vms/${this.id}`)}`;
    const read = async (path) => {
      try {
        return await ask(path);
      } catch (error) {
        if (error instanceof Refused && (error.status === 404 || error.status === 400)) return null;
        throw error;
      }
    };
    const [open, closed] = await Promise.all([
      read(`/api/v1/connections?${of}&order_by=-bytes_per_second&page_size=200`),
      read(`/api/v1/connections?${of}&states=CLOSED&page_size=200`),
    ]);
    this.open = open;
    this.closed = closed?.body ?? {};
    // It is one of those beyond the first thousand, or gone.
    const listed = this.model.find(this.id) !== undefined;
    this.alone = listed ? null : await read(`/api/v1/vms/${encodeURIComponent(this.id)}?view=FULL`);
  }

  render() {
    const vm = this.model.find(this.id) ?? this.alone?.body;
    this.absent.hidden = vm !== undefined;
    this.body.hidden = vm === undefined;
    this.events.render();
    if (vm === undefined) {
      say(this.absent, `There is no VM ${this.id} (any more).`);
      showState(this.state, 'GONE');
      return;
    }
    showState(this.state, vm.status?.state);
    this.renderFacts(vm);
    this.renderTraffic(vm);
    const connections = this.open?.body?.connections ?? [];
    this.renderBars(vm, connections, this.open?.at ?? Date.now());
    this.connections.render(this.open?.body ?? null);
    // The newest first.
    const closed = [...(this.closed?.connections ?? [])].sort((a, b) => a.closeTime < b.closeTime ? 1 : -1);
    this.ended.render(this.closed === null ? null : {...this.closed, connections: closed.slice(0, 50)});
  }

  renderFacts(vm) {
    const status = vm.status ?? {};
    const vmm = status.frontEnd;
    const facts = [
      ['CID', String(status.cid ?? '')],
      ['Network', shortName(vm.spec?.network ?? 'networks/default')],
      ['Groups', (vm.spec?.groups ?? ['default']).join(', ')],
      ['Since', vm.createTime ? `${since(vm.createTime)} ago` : ''],
      ['Managed by', vm.managedBy ?? ''],
      ['VMM', vmm ? `pid ${vmm.pid}, for ${since(vmm.since)}` : 'none is connected'],
      ['For the VMM', status.vhostUserSocket ?? ''],
      ['For the host', status.udsPath || (vm.spec?.vsockProxy ? 'AF_VSOCK of the host' : 'none')],
    ];
    keyed(this.facts, facts, ([name]) => name, ([name]) => {
      const value = el('dd');
      const row = el('div', {}, el('dt', {}, name), value);
      row.value = value;
      return row;
    }, (row, [, value]) => say(row.value, value));
    const chips = [...Object.entries(vm.labels ?? {}), ...Object.entries(vm.annotations ?? {})];
    keyed(this.labels, chips, ([key]) => key, () => el('li'), (chip, [key, value]) => say(chip, `${key}=${value}`));
    keyed(this.conditions, status.conditions ?? [], (each) => each.type,
          () => el('li', {}, el('span', {class: 'badge'}), el('span')), (item, condition) => {
      const bad = condition.type === 'Degraded' || condition.type === 'QuotaLimited';
      const holds = condition.status === 'TRUE';
      mark(item.firstChild, 'data-kind', holds ? (bad ? 'bad' : 'good') : 'idle');
      say(item.firstChild, `${condition.type} ${condition.status?.toLowerCase() ?? ''}`);
      say(item.lastChild, bad && holds ? condition.message ?? '' : '');
    });
  }

  renderTraffic(vm) {
    const track = this.model.track(vm);
    this.spark.show(track?.in ?? [], track?.out ?? []);
    const now = track?.rates;
    say(this.flow, now === null || now === undefined ? 'It is measured from the second look on.'
        : `${rate(now.in)} in, ${rate(now.out)} out; ` +
          `${count(now.packetsIn)} and ${count(now.packetsOut)} packets a second. ` +
          `At most ${rate(Math.max(...track.in, ...track.out))} in the last minute.`);
  }

  renderBars(vm, connections, at) {
    const stats = vm.status?.stats ?? {};
    const limits = this.model.info?.limits ?? {};
    const rates = this.model.track(vm)?.rates;
    const show = (id, share, text) => this.bars.get(id).show(share, text);
    const quota = vm.spec?.quota ?? {};
    const most = number(quota.maxConnections) || number(limits.connectionsPerVm);
    const open = this.model.open(vm);
    show('connections', most > 0 ? open / most : 0, `${count(open)} of ${count(most)}`);
    const buffer = number(quota.maxBufferBytes) || number(limits.bufferedBytesPerVm);
    const waits = (id, held) => show(id, buffer > 0 ? held / buffer : 0, `${bytes(held)} of ${bytes(buffer)}`);
    waits('toGuest', number(stats.toGuest?.bufferedBytes));
    waits('toHost', number(stats.fromGuest?.bufferedBytes));
    const starved = rates && rates.packetsIn > 0 ? Math.min(1, rates.starved / rates.packetsIn) : 0;
    show('starved', starved, percent(starved));
    const rested = Math.min(1, rates?.rested ?? 0);
    show('rested', rested, percent(rested));
    const {into, out} = flowsOf(vm.name, connections);
    for (const [id, flows] of [['creditIn', into], ['creditOut', out]]) {
      const {window, used} = usedCredit(flows);
      show(id, window > 0 ? used / window : 0, window > 0 ? `${bytes(used)} of ${bytes(window)}` : 'no connection');
    }
    const next = new Map();
    for (const [id, flows] of [['stalledIn', into], ['stalledOut', out]]) {
      let worst = 0;
      for (const [name, flow] of flows) {
        const key = `${id} ${name}`;
        const time = seconds(flow.stalled);
        const before = this.stalled.get(key);
        if (before !== undefined && at > before.at) {
          worst = Math.max(worst, Math.min(1, (time - before.time) / ((at - before.at) / 1000)));
        }
        next.set(key, before !== undefined && at <= before.at ? before : {time, at});
      }
      show(id, worst, percent(worst));
    }
    this.stalled = next;
  }
}
