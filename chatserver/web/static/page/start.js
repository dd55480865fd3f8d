// The first form: who one is, and where to go.

import { put, tell } from "./dom.js";
import { roomChoice } from "./rooms.js";

/** Tells `enter {name, room}`. */
export class Start extends HTMLElement {
  #form = this.querySelector("form");
  #name = this.querySelector("#name");
  #room = this.querySelector("#room");
  #error = this.querySelector(".error[role]");
  #button = this.querySelector("#enter-button");
  #suggested = "";
  #choice = roomChoice(this.querySelector(".rooms"), (room) => {
    this.#room.value = room;
    (this.#name.value ? this.#button : this.#name).focus();
  });

  connectedCallback() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      const room = this.#room.value.trim();
      if (name && room) tell(this, "enter", { name, room });
      else (name ? this.#room : this.#name).focus();
    });
  }

  /** Suggest a name, unless the person has begun to type one, and a room. */
  suggest(name, room) {
    if (this.#name.value === this.#suggested) this.#name.value = name;
    this.#suggested = name;
    if (room) this.#room.value = room;
  }

  /** Ask for a name, and say what was wrong about the last one. */
  ask(message) {
    this.hidden = false;
    this.entering(false);
    put(this.#error, message);
    this.#name.setAttribute("aria-invalid", String(message !== ""));
    this.#name.focus();
    this.#name.select();
  }

  /** Show that the form is being worked on. */
  entering(busy) {
    this.#button.disabled = busy;
    put(this.#button, busy ? "Joining…" : "Join");
    if (busy) put(this.#error, "");
  }

  /** Show the rooms with people, as `Rooms` does. */
  show(others) {
    this.#choice.show(others);
    this.querySelector("#choice").hidden = others.length === 0;
  }
}

customElements.define("chat-start", Start);
