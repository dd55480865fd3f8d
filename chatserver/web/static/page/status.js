// Whether we are connected, in words, and a banner while we are not.

import { put, tell } from "./dom.js";

const WORDS = {
  connecting: "Connecting…",
  online: "Online",
  waiting: "Offline",
  stopped: "Offline",
};

/** Counts down to the next attempt; tells `hurry`. */
export class Status extends HTMLElement {
  #timer = null;
  #state = { name: "connecting" };
  #until = 0;

  connectedCallback() {
    this.querySelector("button").addEventListener("click", () => tell(this, "hurry"));
  }

  /** Show a state, `{name, reason, wait}`. */
  show(state) {
    this.#state = state;
    this.#until = Date.now() + (state.wait ?? 0);
    clearInterval(this.#timer);
    const badge = document.querySelector("#status");
    badge.dataset.state = state.name;
    put(badge.querySelector(".word"), WORDS[state.name]);
    // While a new attempt runs, the reason for it stays where it is.
    if (state.reason) put(this.querySelector(".reason"), sentence(state.reason));
    if (state.name === "waiting" || state.name === "stopped") this.hidden = false;
    if (state.name === "online") this.hidden = true;
    this.querySelector(".kept").hidden = state.name === "stopped";
    this.querySelector("button").hidden = state.name === "connecting";
    if (state.name === "waiting") this.#timer = setInterval(() => this.#count(), 1_000);
    this.#count();
  }

  #count() {
    const { name } = this.#state;
    const left = Math.max(0, Math.ceil((this.#until - Date.now()) / 1_000));
    const words = { waiting: `Reconnecting in ${left} s.`, connecting: "Reconnecting…" };
    this.querySelector(".countdown").textContent = words[name] ?? "";
  }
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

customElements.define("chat-status", Status);
