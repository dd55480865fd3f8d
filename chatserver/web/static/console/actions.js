// The actions on offer, as the server lists them for those who may connect.

import { make } from "../page/dom.js";

/** Fills the choice of actions; `chosen(action)` hears which one, null for none. */
export class Actions {
  #path;
  #parts;
  #chosen;
  #actions = [];

  constructor(path, parts, chosen) {
    this.#path = path;
    this.#parts = parts;
    this.#chosen = chosen;
    parts.choice.addEventListener("change", () => this.#choose());
  }

  /** Ask the server for the list, with a token or without. */
  async load(token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    try {
      const response = await fetch(this.#path, { headers });
      if (!response.ok) {
        const why = `${response.status}: ${(await response.text()).trim()}`;
        this.#parts.summary.textContent =
          `The actions are listed for those who may connect (${why}). Frames can be sent by hand.`;
        return;
      }
      this.#show((await response.json()).actions);
    } catch {
      this.#parts.summary.textContent = "The list of actions cannot be had: no answer.";
    }
  }

  // Only a list that has changed is shown: a new one would take away what has been filled in.
  #show(actions) {
    if (JSON.stringify(actions) === JSON.stringify(this.#actions)) return;
    this.#actions = actions;
    const groups = new Map();
    for (const { action, extension } of actions) {
      if (!groups.has(extension)) {
        const group = make("optgroup");
        group.label = extension;
        groups.set(extension, group);
      }
      groups.get(extension).append(new Option(action, action));
    }
    const none = new Option("Choose an action …", "");
    this.#parts.choice.replaceChildren(none, ...groups.values());
    this.#parts.choice.disabled = false;
    this.#choose();
  }

  #choose() {
    const { value } = this.#parts.choice;
    const action = this.#actions.find((each) => each.action === value) ?? null;
    this.#parts.summary.textContent = action?.summary ?? "";
    this.#chosen(action);
  }
}
