// SPDX-License-Identifier: Apache-2.0
//
// All connections.

import {el} from './dom.js';
import {ask} from './feed.js';
import {commands} from './commands.js';
import {ConnectionTable} from './connections.js';

export class ConnectionsView {
  constructor(model) {
    this.model = model;
    this.open = null;
    this.closed = null;
    this.tables = [new ConnectionTable('Open connections, the busiest first'),
                   new ConnectionTable('Ended or refused in the last minute', true)];
    this.element = el('div', {class: 'view'}, el('h1', {class: 'offscreen'}, 'Connections'),
                      this.tables.map((table) => table.element), commands('In a terminal', [
                        ['kinsockctl', 'conn', 'list', '--by-rate'],
                        ['kinsockctl', 'conn', 'watch'],
                        ['kinsockctl', 'conn', 'list', '--closed'],
                        ['kinsockctl', 'top', 'conns'],
                      ]));
  }

  async look() {
    const [open, closed] = await Promise.all([ask('/api/v1/connections?order_by=-bytes_per_second&page_size=500'),
                                              ask('/api/v1/connections?states=CLOSED&page_size=500')]);
    this.open = open.body;
    this.closed = closed.body;
  }

  render() {
    this.tables[0].render(this.open);
    const closed = [...(this.closed?.connections ?? [])].sort((a, b) => a.closeTime < b.closeTime ? 1 : -1);
    this.tables[1].render(this.closed === null ? null : {...this.closed, connections: closed.slice(0, 200)});
  }
}
