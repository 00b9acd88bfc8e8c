// SPDX-License-Identifier: Apache-2.0
//
// What the page knows: the last answers, what has become of the numbers in them since those before, and what has
// happened.

import {number, seconds, shortName} from './format.js';
import {SAMPLES} from './spark.js';

export const HOST = 'host';
const MAX_EVENTS = 500;
// For so long a denied connection is news.
const FRESH_DENIAL = 60_000;

// What goes through a VM's device.
function traffic(vm) {
  const stats = vm.status?.stats ?? {};
  const from = stats.fromGuest ?? {};
  const to = stats.toGuest ?? {};
  return {
    in: number(to.hostBytes) + number(to.siblingBytes),
    out: number(from.hostBytes) + number(from.siblingBytes),
    starved: number(to.starved),
    packetsIn: number(to.hostPackets) + number(to.siblingPackets),
    packetsOut: number(from.packets),
    rested: number(from.restedNanoseconds) / 1e9,
    stalledOut: seconds(from.creditStalled),
    stalledIn: seconds(to.creditStalled),
    stalls: number(from.creditStalls) + number(to.creditStalls),
  };
}

const endOf = (end) => end?.host ? HOST : shortName(end?.vm);
const cellKey = (from, to) => `${from}\n${to}`;

export class Model {
  constructor() {
    this.info = null;
    this.forgetNumbers();
    this.forgetEvents();
  }

  forgetNumbers() {
    this.vms = [];
    this.moreVms = false;
    this.tracks = new Map();    // by uid: {last, at, rates, in: [], out: []}
    this.cells = new Map();     // by from and to: what flows, and what was asked
    this.pairsAt = 0;
    this.morePairs = false;
  }

  forgetEvents() {
    this.events = [];           // the newest last
    this.eventIds = new Set();
    this.denials = new Map();   // by from and to: {at, port, policy, reason, count}
  }

  setInfo(info) {
    // Another start of the daemon: nothing that was counted goes on.
    if (this.info !== null && this.info.instanceId !== info.instanceId) this.forgetNumbers();
    this.info = info;
  }

  // `at`: when it was so, milliseconds.
  setVms(response, at) {
    this.vms = response.vms ?? [];
    this.moreVms = Boolean(response.nextPageToken);
    const alive = new Set();
    for (const vm of this.vms) {
      alive.add(vm.uid);
      const now = traffic(vm);
      const track = this.tracks.get(vm.uid) ?? {last: null, at: 0, rates: null, in: [], out: []};
      if (track.last !== null && at > track.at) {
        const time = (at - track.at) / 1000;
        track.rates = {};
        for (const name of Object.keys(now)) track.rates[name] = Math.max(0, now[name] - track.last[name]) / time;
        track.in.push(track.rates.in);
        track.out.push(track.rates.out);
        if (track.in.length > SAMPLES) {
          track.in.shift();
          track.out.shift();
        }
      }
      if (at > track.at) {
        track.last = now;
        track.at = at;
      }
      this.tracks.set(vm.uid, track);
    }
    for (const uid of this.tracks.keys()) {
      if (!alive.has(uid)) this.tracks.delete(uid);
    }
  }

  setPairs(report) {
    const at = Date.parse(report.time);
    const time = (at - this.pairsAt) / 1000;
    const before = this.cells;
    if (this.pairsAt > 0 && time <= 0) return;
    const cells = new Map();
    const cell = (from, to) => {
      const key = cellKey(from, to);
      if (!cells.has(key)) {
        cells.set(key, {from, to, bytes: 0, rate: 0, open: 0, accepted: 0, refused: 0, stalls: 0});
      }
      return cells.get(key);
    };
    for (const pair of report.pairs ?? []) {
      const from = endOf(pair.initiator);
      const to = endOf(pair.target);
      const there = cell(from, to);
      there.bytes += number(pair.toTarget?.bytes);
      there.stalls += number(pair.toTarget?.creditStalls);
      there.open += number(pair.openConnections);
      there.accepted += number(pair.connectsAccepted);
      there.refused += number(pair.connectsRefused);
      if (number(pair.toInitiator?.bytes) === 0) continue;
      const back = cell(to, from);
      back.bytes += number(pair.toInitiator?.bytes);
      back.stalls += number(pair.toInitiator?.creditStalls);
    }
    for (const [key, each] of cells) {
      const last = before.get(key);
      if (last !== undefined && time > 0) each.rate = Math.max(0, each.bytes - last.bytes) / time;
    }
    this.cells = cells;
    this.pairsAt = at;
    this.morePairs = number(report.pairCount) > (report.pairs ?? []).length;
  }

  addEvent(event) {
    if (this.eventIds.has(event.id)) return;
    this.events.push(event);
    this.eventIds.add(event.id);
    if (this.events.length > MAX_EVENTS) this.eventIds.delete(this.events.shift().id);
    if (event.type !== 'DENIAL' || event.fields?.initiator === undefined) return;
    const from = shortName(event.fields.initiator);
    const to = shortName(event.fields.target);
    const known = this.denials.get(cellKey(from, to));
    this.denials.set(cellKey(from, to), {
      at: Date.parse(event.time),
      port: event.fields.port,
      policy: event.fields.policy,
      reason: event.reason,
      count: (known?.count ?? 0) + 1,
    });
  }

  cell(from, to) {
    return this.cells.get(cellKey(from, to));
  }

  // Whether `from` was denied a connection to `to`: lately, before, or not that is known.
  denial(from, to, now = Date.now()) {
    const denial = this.denials.get(cellKey(from, to));
    return denial === undefined ? null : {...denial, fresh: now - denial.at < FRESH_DENIAL};
  }

  find(id) {
    return this.vms.find((vm) => shortName(vm.name) === id);
  }

  track(vm) {
    return this.tracks.get(vm.uid);
  }

  // Accepted connections, in either direction, that have not ended.
  open(vm) {
    const stats = vm.status?.stats ?? {};
    const closed = Object.values(stats.closes ?? {}).reduce((sum, each) => sum + number(each), 0);
    return Math.max(
        0, number(stats.fromGuest?.connectsAccepted) + number(stats.toGuest?.connectsAccepted) - closed);
  }
}
