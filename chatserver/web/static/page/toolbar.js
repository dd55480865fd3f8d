// What can be done with a message: one toolbar, which stands at the message that is looked at.

import { make, makeButton, put, tell } from "./dom.js";

const EMOJIS = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/** The toolbar; it tells `react`, `reply`, `edit`, `pin` and `remove`, each with the message's entry. */
export class Toolbar extends HTMLElement {
  #entry = null;
  #sure = false;
  #react = makeButton("", "React", () => this.#open(this.#emojis.hidden));
  #reply = makeButton("", "Reply", () => tell(this, "reply", { entry: this.#entry }));
  #edit = makeButton("", "Edit", () => tell(this, "edit", { entry: this.#entry }));
  #pin = makeButton("", "Pin", () => tell(this, "pin", { entry: this.#entry }));
  #remove = makeButton("", "Delete", () => this.#confirm());
  #emojis = make("span", "emojis");

  connectedCallback() {
    if (this.childElementCount) return;
    this.role = "toolbar";
    this.ariaLabel = "Message";
    for (const emoji of EMOJIS) {
      const button = makeButton("", emoji, () => {
        tell(this, "react", { entry: this.#entry, emoji });
        this.#open(false);
      });
      button.ariaLabel = `React with ${emoji}`;
      this.#emojis.append(button);
    }
    this.append(this.#emojis, this.#react, this.#reply, this.#edit, this.#pin, this.#remove);
  }

  /** Stand at a message; moderators can do more with it. */
  place(item, entry, moderates) {
    put(this.#pin, entry.pinned ? "Unpin" : "Pin");
    if (entry === this.#entry && item.contains(this)) return;
    this.#entry = entry;
    this.#open(false);
    this.#ask(false);
    this.#edit.hidden = !entry.own;
    this.#pin.hidden = !moderates;
    this.#remove.hidden = !entry.own && !moderates;
    item.append(this);
  }

  /** Stand nowhere. */
  leave() {
    this.#entry = null;
    this.remove();
  }

  #open(open) {
    this.#emojis.hidden = !open;
    this.#react.ariaExpanded = String(open);
  }

  #confirm() {
    if (this.#sure) tell(this, "remove", { entry: this.#entry });
    this.#ask(!this.#sure);
  }

  #ask(sure) {
    this.#sure = sure;
    put(this.#remove, sure ? "Really delete?" : "Delete");
  }
}

customElements.define("chat-toolbar", Toolbar);
