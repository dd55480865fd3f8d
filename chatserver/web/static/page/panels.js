// What stands beside the conversation, or before it where there is no space.

import { find } from "./dom.js";

/** Opens and closes the panels by their buttons; Escape closes them. */
export class Panels {
  #session = null;
  #panels = [
    { button: find("#drawer"), panel: find("chat-rooms") },
    { button: find("#show-people"), panel: find("chat-people") },
    { button: find("#show-pins"), panel: find("chat-pins") },
    { button: find("#show-search"), panel: find("chat-search") },
  ];

  constructor() {
    for (const { button, panel } of this.#panels) {
      button.addEventListener("click", () => {
        const open = this.#isOpen(button);
        this.close();
        if (!open) this.#open(button, panel);
      });
      panel.querySelector(".close")?.addEventListener("click", () => this.#leave(button));
    }
    document.addEventListener("keydown", ({ key }) => {
      const open = this.#panels.find(({ button }) => this.#isOpen(button));
      if (key === "Escape" && open) this.#leave(open.button);
    });
  }

  attach(session) {
    this.#session = session;
    find("chat-search").nameOf = (room) => session.title(room);
  }

  /** Close what is open. */
  close() {
    for (const { button, panel } of this.#panels) {
      button.ariaExpanded = "false";
      panel.classList.remove("open");
    }
  }

  /** Show who is in a room, or what is pinned there, if that is open. */
  show(room) {
    if (this.#isOpen(find("#show-pins"))) find("chat-pins").show(room);
    if (!this.#isOpen(find("#show-people"))) return;
    find("chat-people").show(room.people, this.#session.user);
  }

  #isOpen(button) {
    return button.ariaExpanded === "true";
  }

  #open(button, panel) {
    button.ariaExpanded = "true";
    panel.classList.add("open");
    if (this.#session.current) this.show(this.#session.current);
    if (button.id === "drawer") this.#session.list();
    panel.querySelector("input, button:not(.close), .close").focus();
  }

  #leave(button) {
    this.close();
    button.focus();
  }
}
