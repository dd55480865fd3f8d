// Making and keeping elements. Text goes in as text, never as markup.

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
