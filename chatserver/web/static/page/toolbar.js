// What can be done with a message: one toolbar, which stands at the message that is looked at.

import { make, makeButton, makeIconButton, tell } from "./dom.js";

const EMOJIS = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/** The toolbar; it tells `react`, `reply`, `edit`, `pin` and `remove`, each with the entry. */
export class Toolbar extends HTMLElement {
  #entry = null;
  #removable = false;
  #react = makeIconButton("", "react", "React", () => this.#open(this.#emojis.hidden));
  #reply = makeIconButton("", "reply", "Reply", () => tell(this, "reply", { entry: this.#entry }));
  #edit = makeIconButton("", "edit", "Edit", () => tell(this, "edit", { entry: this.#entry }));
  #pin = makeIconButton("", "pin", "Pin", () => tell(this, "pin", { entry: this.#entry }));
  #remove = makeIconButton("", "remove", "Delete", () => this.#ask(true));
  #really = makeButton("danger", "Really delete?", () => {
    tell(this, "remove", { entry: this.#entry });
    this.#ask(false);
  });
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
    this.append(this.#emojis, this.#react, this.#reply, this.#edit);
    this.append(this.#pin, this.#remove, this.#really);
  }

  /** Stand at a message; moderators can do more with it. */
  place(item, entry, moderates) {
    this.#pin.ariaLabel = this.#pin.title = entry.pinned ? "Unpin" : "Pin";
    if (entry === this.#entry && item.contains(this)) return;
    this.#entry = entry;
    this.#open(false);
    this.#edit.hidden = !entry.own;
    this.#pin.hidden = !moderates;
    this.#removable = entry.own || moderates;
    this.#ask(false);
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

  #ask(asked) {
    const held = this.#remove.contains(document.activeElement);
    this.#remove.hidden = asked || !this.#removable;
    this.#really.hidden = !asked;
    if (held && asked) this.#really.focus();
  }
}

customElements.define("chat-toolbar", Toolbar);
