// Where messages are written: new ones, answers, and other texts of old ones.

import { seenBy } from "./changes.js";
import { make, makeButton, makeWritten, tell } from "./dom.js";

/** Keeps each room's draft; tells `send {text, context}`, `typing` and `edit-last`. */
export class Composer extends HTMLElement {
  #room = null;
  #form = this.querySelector("form");
  #text = this.querySelector("textarea");
  #label = this.querySelector("label");
  #context = this.querySelector(".context");

  connectedCallback() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => {
      if (this.#room && this.#text.value) tell(this, "typing");
    });
  }

  /** Write to a room from now on. */
  show(room, title) {
    if (this.#room) this.#room.draft = this.#text.value;
    this.#room = room;
    this.#label.textContent = this.#text.placeholder = `Message to ${title}`;
    this.#text.value = room?.draft ?? "";
    this.#showContext();
    this.focus();
  }

  focus() {
    this.#text.focus();
  }

  /** Answer a message with what is written next. */
  reply(entry) {
    if (this.#room.context?.kind === "edit") this.#text.value = "";
    this.#begin({ kind: "reply", entry });
  }

  /** Write another text for a message. */
  edit(entry) {
    this.#text.value = seenBy(null, entry).text;
    this.#begin({ kind: "edit", entry });
  }

  #begin(context) {
    this.#room.context = context;
    this.#showContext();
    this.focus();
  }

  #cancel() {
    if (this.#room.context.kind === "edit") this.#text.value = "";
    this.#room.context = null;
    this.#showContext();
    this.focus();
  }

  #send() {
    const text = this.#text.value.trimEnd();
    const { context } = this.#room;
    if (text) {
      this.#text.value = "";
      this.#room.context = null;
      this.#showContext();
      tell(this, "send", { text, context });
    }
    this.focus();
  }

  #showContext() {
    const { kind, entry } = this.#room?.context ?? {};
    this.#context.hidden = !kind;
    if (!kind) return;
    const what = make("p");
    if (kind === "edit") what.append("Editing your message");
    else what.append("Answering ", makeWritten("b", "", entry.username));
    what.append(" ", makeWritten("span", "hint", entry.text));
    this.#context.replaceChildren(what, makeButton("quiet", "Cancel", () => this.#cancel()));
  }

  #key(event) {
    // While an input method composes, keys belong to it.
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#form.requestSubmit();
    } else if (event.key === "Escape" && this.#room?.context) {
      event.stopPropagation();
      this.#cancel();
    } else if (event.key === "ArrowUp" && !this.#text.value) {
      event.preventDefault();
      tell(this, "edit-last");
    }
  }
}

customElements.define("chat-composer", Composer);
