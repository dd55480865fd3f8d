// The panel that shows what is pinned in a room.

import { KeyedList, put, tell } from "./dom.js";
import { excerpt } from "./excerpt.js";

/** Tells `goto {offset}`, and `pins {older}` to have what is pinned asked for. */
export class PinsPanel extends HTMLElement {
  #list = new KeyedList(
    this.querySelector("ol"),
    (entry) => excerpt(entry, "", () => tell(this, "goto", { offset: entry.offset })),
    (item, { text }) => put(item.querySelector(".said"), text),
  );
  #hint = this.querySelector(".hint");
  #more = this.querySelector(".more");

  connectedCallback() {
    this.#more.addEventListener("click", () => tell(this, "pins", { older: true }));
  }

  /** Show what is pinned in a room. */
  show({ pins }) {
    if (pins.stale) tell(this, "pins", { older: false });
    const { known, reading, error, hasMore } = pins;
    const held = this.contains(document.activeElement);
    this.#list.show(known.map((entry) => [entry, entry]));
    if (held && !known.length) this.querySelector("button").focus();
    const none = known.length ? "" : reading ? "Loading…" : "Nothing is pinned here.";
    put(this.#hint, error || none);
    this.#more.hidden = !hasMore && !error;
    this.#more.disabled = reading;
    put(this.#more, error ? "Try again" : "More pins");
  }
}

customElements.define("chat-pins", PinsPanel);
