// The panel that finds messages.

import { put, tell } from "./dom.js";
import { excerpt } from "./excerpt.js";

/** Tells `search {text, here, before, found, failed}` and `goto {room, offset}`. */
export class SearchPanel extends HTMLElement {
  nameOf = (room) => room; // what the person calls a room
  #form = this.querySelector("form");
  #input = this.querySelector("input[type=search]");
  #here = this.querySelector("input[type=checkbox]");
  #results = this.querySelector("ol");
  #outcome = this.querySelector(".outcome");
  #more = this.querySelector(".more");
  #next = undefined;

  connectedCallback() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#results.replaceChildren();
      this.#next = undefined;
      this.#search();
    });
    this.#more.addEventListener("click", () => this.#search());
  }

  focus() {
    this.#input.focus();
  }

  #search() {
    const text = this.#input.value;
    if (!text.trim()) return;
    put(this.#outcome, "Searching…");
    tell(this, "search", {
      ...{ text, here: this.#here.checked, before: this.#next },
      found: (page) => this.#found(page),
      failed: ({ message }) => put(this.#outcome, message),
    });
  }

  #found({ results, more, next }) {
    this.#next = next;
    this.#more.hidden = !more;
    for (const message of results) {
      const { room, offset } = message;
      const pick = () => tell(this, "goto", { room, offset });
      this.#results.append(excerpt(message, this.nameOf(room), pick));
    }
    const count = this.#results.childElementCount;
    const found = count === 1 ? "1 message" : `${count} messages`;
    put(this.#outcome, count === 0 ? "Nothing was found." : more ? `${found} so far` : found);
  }
}

customElements.define("chat-search", SearchPanel);
