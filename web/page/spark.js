// SPDX-License-Identifier: Apache-2.0
//
// Small charts of the last minute: what comes in is an area, what goes out a line.

import {svg, say} from './dom.js';
import {rate} from './format.js';

export const SAMPLES = 60;

function path(values, top, width, height) {
  const step = width / (SAMPLES - 1);
  const start = width - step * (values.length - 1);
  return values.map((value, i) => [start + i * step, height - 1 - (value / top) * (height - 3)])
      .map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
}

export class Spark {
  constructor(width = 132, height = 28) {
    this.width = width;
    this.height = height;
    this.title = svg('title');
    this.area = svg('polygon', {class: 'spark-in'});
    this.line = svg('polyline', {class: 'spark-out'});
    this.element = svg(
        'svg', {class: 'spark', viewBox: `0 0 ${width} ${height}`, role: 'img', preserveAspectRatio: 'none'},
        this.title, this.area, this.line);
  }

  // Bytes per second, the newest last; of both as many.
  show(into, out) {
    const top = Math.max(1, ...into, ...out);
    const points = path(into, top, this.width, this.height);
    const first = points.length > 0 ? points[0].split(',')[0] : this.width;
    this.area.setAttribute('points', `${first},${this.height} ${points.join(' ')} ${this.width},${this.height}`);
    this.line.setAttribute('points', path(out, top, this.width, this.height).join(' '));
    const last = (values) => rate(values.at(-1) ?? 0);
    say(this.title, `The last minute: at most ${rate(top <= 1 ? 0 : top)}; now ${last(into)} in, ${last(out)} out`);
    this.element.dataset.points = String(points.length);
  }
}
