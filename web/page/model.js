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
    this.policies = new Map();  // by from and to: {port, policy}: which one denied last, as far as it was told
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

  // Of its `pairs` each has counted all that was denied, however few of that were events.
  setPairs(report) {
    const at = Date.parse(report.time);
    const time = (at - this.pairsAt) / 1000;
    const before = this.cells;
    if (this.pairsAt > 0 && time <= 0) return;
    const cells = new Map();
    const cell = (from, to) => {
      const key = cellKey(from, to);
      if (!cells.has(key)) {
        cells.set(
            key, {from, to, bytes: 0, rate: 0, open: 0, accepted: 0, refused: 0, denied: 0, last: null, stalls: 0});
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
      there.denied += number(pair.connectsDenied);
      if (pair.lastDenial !== undefined) {
        // By this clock, whatever the daemon's says.
        const time = Date.now() - (at - Date.parse(pair.lastDenial.time));
        if (there.last === null || time > there.last.at) {
          there.last = {at: time, port: pair.lastDenial.port, reason: pair.lastDenial.reason};
        }
      }
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
    const {initiator, target, port, policy} = event.fields;
    const key = cellKey(shortName(initiator), shortName(target));
    this.policies.delete(key);  // so that it is the newest
    this.policies.set(key, {port, policy});
    if (this.policies.size > MAX_EVENTS) this.policies.delete(this.policies.keys().next().value);
  }

  cell(from, to) {
    return this.cells.get(cellKey(from, to));
  }

  // Whether `from` was denied a connection to `to`: lately, before, or not that is known.
  denial(from, to, now = Date.now()) {
    const cell = this.cell(from, to);
    if (cell === undefined || cell.denied === 0 || cell.last === null) return null;
    const told = this.policies.get(cellKey(from, to));
    // Another port may have been another policy's.
    const policy = told !== undefined && String(told.port) === String(cell.last.port) ? told.policy : undefined;
    return {...cell.last, count: cell.denied, policy, fresh: now - cell.last.at < FRESH_DENIAL};
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
