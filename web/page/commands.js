// SPDX-License-Identifier: Apache-2.0
//
// Commands to copy: the page changes nothing, kinsockctl does.

import {el, say} from './dom.js';

// A word of a command as a shell takes it.
export function word(text) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

// Where a page may not use the clipboard, the selection does.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el('textarea', {class: 'offscreen', readonly: true});
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

export function command(...words) {
  const text = words.map(word).join(' ');
  const label = el('span', {class: 'copy-label', 'aria-live': 'polite'}, 'Copy');
  const button = el('button', {type: 'button', class: 'copy', title: `Copy: ${text}`, onclick: async () => {
    say(label, await copy(text) ? 'Copied' : 'Select it');
    setTimeout(() => say(label, 'Copy'), 1500);
  }}, label);
  return el('div', {class: 'command', 'data-command': text}, el('code', {}, text), button);
}

export function commands(title, list) {
  return el('section', {class: 'card commands'}, el('h2', {}, title), list.map((words) => command(...words)));
}
