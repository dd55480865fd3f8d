// A long list in stretches, of which the browser lays out only those near the view.

import { make } from "./dom.js";

const LENGTH = 20; // items

/** Keeps items in their order, in lists that follow each other inside one element. */
export class Stretches {
  #element;

  constructor(element) {
    this.#element = element;
  }

  get last() {
    return this.#element.lastElementChild?.lastElementChild ?? null;
  }

  /** Return the item before another one, or null. */
  before(item) {
    const earlier = item.parentElement.previousElementSibling;
    return item.previousElementSibling ?? earlier?.lastElementChild ?? null;
  }

  /** Return the item behind another one, or null. */
  after(item) {
    const later = item.parentElement.nextElementSibling;
    return item.nextElementSibling ?? later?.firstElementChild ?? null;
  }

  /** Put an item before another one, or at the end (null); it may stand somewhere already. */
  insert(item, next) {
    if (item.parentElement) {
      if (this.after(item) === next) return;
      this.remove(item);
    }
    if (next?.previousElementSibling) {
      next.before(item);
      return;
    }
    // Between two stretches: at the end of the earlier one, as long as it is short.
    const later = next?.parentElement ?? null;
    const earlier = later ? later.previousElementSibling : this.#element.lastElementChild;
    if (earlier?.childElementCount < LENGTH) earlier.append(item);
    else this.#add(later).append(item);
  }

  remove(item) {
    const stretch = item.parentElement;
    item.remove();
    if (!stretch.childElementCount) stretch.remove();
  }

  #add(later) {
    const stretch = make("ol", "stretch");
    this.#element.insertBefore(stretch, later);
    return stretch;
  }
}
