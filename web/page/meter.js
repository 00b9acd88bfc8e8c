// SPDX-License-Identifier: Apache-2.0
//
// A bar that is more or less full.

import {el, mark} from './dom.js';

export class Meter {
  constructor(label, size = '') {
    this.fill = el('span', {class: 'fill'});
    this.element = el('span', {class: `meter ${size}`, role: 'meter', 'aria-label': label, 'aria-valuemin': 0,
                               'aria-valuemax': 100}, this.fill);
  }

  // `share`: from 0 to 1; `text`: the same in words; `kind`: "good", "warn", "bad".
  show(share, text, kind) {
    const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
    mark(this.element, 'aria-valuenow', percent);
    mark(this.element, 'aria-valuetext', text);
    mark(this.element, 'title', text);
    mark(this.element, 'data-kind', kind);
    this.fill.style.width = `${percent}%`;
  }
}
