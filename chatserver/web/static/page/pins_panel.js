// The panel that shows what is pinned in a room.

import { put, tell } from "./dom.js";
import { excerpt } from "./excerpt.js";

/** Tells `goto {offset}`, and `older` where pins may be further back. */
export class PinsPanel extends HTMLElement {
  #list = this.querySelector("ol");
  #hint = this.querySelector(".hint");
  #more = this.querySelector(".more");

  connectedCallback() {
    this.#more.addEventListener("click", () => tell(this, "older"));
  }

  /** Show what is pinned of what is known of a room. */
  show({ transcript: { pinned }, hasOlder, loading }) {
    const items = pinned.map((entry) => {
      return excerpt(entry, "", () => tell(this, "goto", { offset: entry.offset }));
    });
    const held = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...items);
    if (held) this.querySelector("button").focus();
    const all = pinned.length ? "" : "Nothing is pinned here.";
    put(this.#hint, hasOlder ? "Earlier messages have not been looked at yet." : all);
    this.#more.hidden = !hasOlder;
    this.#more.disabled = loading;
  }
}

customElements.define("chat-pins", PinsPanel);
