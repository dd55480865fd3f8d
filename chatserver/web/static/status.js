// Whether we are connected, in words.

const WORDS = {
  connecting: "Connecting…",
  online: "Online",
  waiting: "Offline",
  stopped: "Offline",
};

/** Shows the state of the connection, and counts down to the next attempt. */
export class Status {
  #root;
  #timer = null;
  #state = { name: "connecting" };

  /** `hurry()`: the person does not want to wait, or wants to try after a stop. */
  constructor(root, hurry) {
    this.#root = root;
    this.#find("#hurry").addEventListener("click", hurry);
  }

  get online() {
    return this.#state.name === "online";
  }

  show(state) {
    this.#state = state;
    clearInterval(this.#timer);
    this.#find("#status").dataset.state = state.name;
    this.#find("#status-text").textContent = WORDS[state.name];
    // While a new attempt runs, the reason for it stays where it is.
    if (state.text) this.#find("#trouble-text").textContent = state.text;
    if (state.name === "waiting" || state.name === "stopped") this.#find("#trouble").hidden = false;
    if (state.name === "online") this.#find("#trouble").hidden = true;
    this.#find("#hurry").hidden = state.name === "connecting";
    if (state.name === "waiting") this.#timer = setInterval(() => this.#count(), 1_000);
    this.#count();
  }

  #count() {
    const { name, until } = this.#state;
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1_000));
    this.#find("#countdown").textContent =
      name === "waiting" ? `Reconnecting in ${left} s.` : name === "connecting" ? "Reconnecting…" : "";
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }
}
