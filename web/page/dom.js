// SPDX-License-Identifier: Apache-2.0
//
// Makes elements. Names, labels and paths of VMs are whatever somebody chose: they only ever become text here, and
// nothing in this page parses markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat()) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Replaces what is in `element`.
export function put(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

// Sets the text, if it is another one: assistive technology is told of every change.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Sets or takes away an attribute, if it is another one.
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, String(value));
  }
}

// The children of `parent` become those of `items`, in their order; an element stays with its key. `make` makes one,
// `update` is called for each.
export function keyed(parent, items, key, make, update) {
  const have = parent.keyed ?? new Map();
  const next = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    const child = have.get(id) ?? make(item);
    next.set(id, child);
    have.delete(id);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const child of have.values()) child.remove();
  parent.keyed = next;
}
