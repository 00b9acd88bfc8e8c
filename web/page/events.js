// SPDX-License-Identifier: Apache-2.0
//
// What has happened, the newest first.

import {el, keyed, mark, put, say} from './dom.js';
import {clock, shortName} from './format.js';

const KINDS = {INFO: 'good', WARNING: 'warn', ERROR: 'bad'};

function objectOf(event) {
  const id = shortName(event.object);
  return (event.object ?? '').startsWith('vms/') ? el('a', {href: `#/vms/${encodeURIComponent(id)}`}, id)
                                                 : el('span', {}, id);
}

export class EventTail {
  // `only`: the VM, by its id, that events are about; none: all. `most`: how many are shown.
  constructor(model, {title = 'Events', only = null, most = 100} = {}) {
    this.model = model;
    this.only = only;
    this.most = most;
    this.denials = true;
    this.list = el('ol', {class: 'events', reversed: true});
    this.note = el('p', {class: 'note'});
    const toggle = el('input', {type: 'checkbox', onchange: (event) => {
      this.denials = !event.target.checked;
      this.render();
    }});
    this.element = el('section', {class: 'card'},
                      el('header', {class: 'card-head'}, el('h2', {}, title),
                         el('label', {}, toggle, ' without denials')),
                      this.list, this.note);
  }

  concerns(event) {
    if (!this.denials && event.type === 'DENIAL') return false;
    if (this.only === null) return true;
    const name = `vms/${this.only}`;
    return event.object === name || event.fields?.initiator === name || event.fields?.target === name;
  }

  render() {
    const events = this.model.events.filter((event) => this.concerns(event)).slice(-this.most).reverse();
    keyed(this.list, events, (event) => event.id, (event) => this.make(event), () => {});
    say(this.note, events.length === 0 ? 'Nothing that is remembered.' : '');
    this.note.hidden = events.length > 0;
  }

  make(event) {
    const item = el('li', {'data-reason': event.reason, 'data-type': event.type});
    const badge = el('span', {class: 'badge'}, event.reason);
    mark(badge, 'data-kind', event.type === 'DENIAL' ? 'bad' : KINDS[event.severity] ?? 'idle');
    put(item, el('time', {datetime: event.time, title: event.time}, clock(event.time)), badge, objectOf(event),
        el('span', {class: 'message'}, event.message ?? '', event.fields?.policy && ` (${event.fields.policy})`));
    return item;
  }
}
