// Making and keeping elements. Text goes in as text, never as markup.

import { split } from "./links.js";

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("../icons.svg", import.meta.url).pathname;

/** Find an element of the page, which is there. */
export function find(selector) {
  return document.querySelector(selector);
}

/** Create an element with a class and text. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Create an element for text that people wrote: its direction follows the text. */
export function makeWritten(tag, className, text) {
  const element = make(tag, className, text);
  element.dir = "auto";
  return element;
}

/** Create a button that does something when it is pressed. */
export function makeButton(className, text, onClick) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

/** Create a picture of `icons.svg`, which says nothing by itself. */
export function makeIcon(name) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  icon.append(use);
  return icon;
}

/** Create a button that shows an icon, and says a text to who points at it or listens. */
export function makeIconButton(className, name, text, onClick) {
  const button = makeButton(className, "", onClick);
  button.append(makeIcon(name));
  button.ariaLabel = button.title = text;
  return button;
}

/** Put a text into an element, with the web addresses in it as links. */
export function putLinked(element, text) {
  const parts = split(text).map((part) => (part.href === null ? part.text : link(part)));
  element.replaceChildren(...parts);
}

/** Put a text into an element unless it is there: screen readers read what is put. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Let an element tell what a person wants; elements around it hear of it. */
export function tell(element, type, detail = {}) {
  element.dispatchEvent(new CustomEvent(`chat-${type}`, { bubbles: true, detail }));
}

function link({ text, href }) {
  const anchor = make("a", "", text);
  anchor.href = href;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow";
  return anchor;
}

/** Fill a list from keyed items, keeping the elements of known keys, and with them the focus. */
export class KeyedList {
  #list;
  #create;
  #update;
  #elements = new Map();

  /** `create(key)` returns a new element; `update(element, item)` brings it up to date. */
  constructor(list, create, update) {
    this.#list = list;
    this.#create = create;
    this.#update = update;
  }

  /** Show exactly these items, `[key, item]`, in this order. */
  show(items) {
    const keys = new Set(items.map(([key]) => key));
    let focusLost = false;
    for (const [key, element] of this.#elements) {
      if (!keys.has(key)) {
        focusLost ||= element.contains(document.activeElement);
        element.remove();
        this.#elements.delete(key);
      }
    }
    let next = this.#list.firstElementChild;
    for (const [key, item] of items) {
      let element = this.#elements.get(key);
      if (!element) {
        element = this.#create(key);
        this.#elements.set(key, element);
      }
      this.#update(element, item);
      if (element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(element, next);
    }
    if (focusLost) this.#list.querySelector("button")?.focus();
  }
}
