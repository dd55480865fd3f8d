// The page: forms, panels and what they say. Knows nothing of the connection.

import { Sidebar, roomChoice } from "./sidebar.js";
import { Status } from "./status.js";

const OFFLINE = "You are offline. Your text stays here until you can send it.";

/** The page's elements, and the wishes people utter through them. */
export class View {
  #wishes;
  #status = new Status(document, () => this.#wishes.hurry());
  #sidebar = new Sidebar(document, {
    select: (room) => this.#pick(() => this.#wishes.select(room)),
    join: (room) => this.#pick(() => this.#wishes.join(room)),
    leave: (room) => this.#wishes.leave(room),
  });
  #choice;
  #title = document.title;
  #suggested = "";
  #log = null;

  constructor() {
    this.#choice = roomChoice(find("#open-rooms"), (room) => {
      find("#room").value = room;
      find(find("#name").value ? "#enter-button" : "#name").focus();
    });
    find("#enter").addEventListener("submit", (event) => this.#enter(event));
    find("#add").addEventListener("submit", (event) => this.#add(event));
    find("#composer").addEventListener("submit", (event) => this.#send(event));
    find("#text").addEventListener("keydown", (event) => this.#key(event));
    find("#drawer").addEventListener("click", () => this.#openDrawer(!this.#drawerOpen));
    find("#news").addEventListener("click", () => {
      this.#log?.toEnd();
      this.#log?.element.focus();
    });
    find("#dismiss").addEventListener("click", () => this.complain(""));
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.#drawerOpen) {
        this.#openDrawer(false);
        find("#drawer").focus();
      }
    });
  }

  /**
   * Name who fulfils the wishes: `enter(name, room)`, `join(room)`, `select(room)`, `leave(room)`,
   * `list()` of rooms, `send(text)`, which returns whether there was a room for it, `hurry()`.
   */
  attach(wishes) {
    this.#wishes = wishes;
  }

  get draft() {
    return find("#text").value;
  }

  /** Show the state of the connection. */
  state(state) {
    this.#status.show(state);
    find("#send").setAttribute("aria-disabled", String(!this.#status.online));
    if (this.#status.online && find("#complaint-text").textContent === OFFLINE) this.complain("");
    if (state.name === "stopped") this.entering(false);
  }

  /** Suggest a name, unless the person has begun to type one. */
  suggestName(name) {
    if (find("#name").value === this.#suggested) find("#name").value = name;
    this.#suggested = name;
  }

  /** Show the first form, with what was wrong about the last try. */
  askName(message = "") {
    find("#start").hidden = false;
    find("#chat").hidden = true;
    find("#drawer").hidden = true;
    find("#me").hidden = true;
    this.#unread(0);
    this.entering(false);
    find("#enter-error").textContent = message;
    find("#name").setAttribute("aria-invalid", String(message !== ""));
    find("#name").focus();
    find("#name").select();
  }

  /** Show that the first form is being worked on. */
  entering(busy) {
    find("#enter-button").disabled = busy;
    find("#enter-button").textContent = busy ? "Joining…" : "Join";
    if (busy) find("#enter-error").textContent = "";
  }

  /** Show the chat instead of the first form. */
  enter() {
    this.entering(false);
    find("#start").hidden = true;
    find("#chat").hidden = false;
    find("#drawer").hidden = false;
    find("#me").hidden = false;
  }

  /** Show the name the person goes by. */
  rename(name) {
    find("#my-name").textContent = name;
  }

  /** List rooms, joined and other, each `[name, {members, unread, current}]`. */
  rooms(joined, others) {
    this.#sidebar.show(joined, others);
    this.#choice.show(others);
    find("#choice").hidden = others.length === 0;
    const current = joined.find(([, room]) => room.current);
    const members = current?.[1].members ?? 0;
    find("#members").textContent = members === 1 ? "1 member" : `${members} members`;
    this.#unread(joined.reduce((sum, [, room]) => sum + room.unread, 0));
  }

  /** Show one room's conversation; without a room (null), that there is none. */
  conversation(room) {
    this.#log?.hide();
    this.#log = room?.log ?? null;
    find("#nowhere").hidden = room !== null;
    find("#conversation").classList.toggle("empty", room === null);
    find("#news").hidden = true;
    if (room === null) {
      find(find("#drawer").checkVisibility() ? "#drawer" : "#new-room").focus();
      return;
    }
    find("#room-name").textContent = room.name;
    find("#text-label").textContent = `Message to ${room.name}`;
    find("#text").placeholder = `Message to ${room.name}`;
    find("#text").value = room.draft;
    if (!room.log.element.isConnected) find("#news").before(room.log.element);
    room.log.show();
    this.focusText();
  }

  /** Say that there are messages below what the reader sees. */
  unseen(news) {
    find("#news").hidden = !news;
  }

  /** Show an error that belongs to no message; an empty text takes it away. */
  complain(text) {
    find("#complaint").hidden = text === "";
    find("#complaint-text").textContent = text;
  }

  focusText() {
    if (!this.#drawerOpen) find("#text").focus();
  }

  get #drawerOpen() {
    return find("#drawer").getAttribute("aria-expanded") === "true";
  }

  #openDrawer(open) {
    find("#drawer").setAttribute("aria-expanded", String(open));
    find("#chat").classList.toggle("drawer-open", open);
    if (!open) return;
    this.#wishes.list();
    find("#sidebar").querySelector("button, input").focus();
  }

  #pick(wish) {
    this.#openDrawer(false);
    wish();
  }

  #enter(event) {
    event.preventDefault();
    const name = find("#name").value.trim();
    const room = find("#room").value.trim();
    if (name && room) this.#wishes.enter(name, room);
    else find(name ? "#room" : "#name").focus();
  }

  #add(event) {
    event.preventDefault();
    const room = find("#new-room").value.trim();
    if (!room) return;
    find("#new-room").value = "";
    this.#pick(() => this.#wishes.join(room));
  }

  #send(event) {
    event.preventDefault();
    const text = this.draft.trimEnd();
    if (!text) return;
    if (this.#status.online && this.#wishes.send(text)) {
      find("#text").value = "";
      this.complain("");
    } else {
      this.complain(OFFLINE);
    }
    this.focusText();
  }

  #key(event) {
    // While an input method composes, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    find("#composer").requestSubmit();
  }

  #unread(count) {
    document.title = count ? `(${count}) ${this.#title}` : this.#title;
    find("#drawer-unread").hidden = count === 0;
    find("#drawer-unread-count").textContent = count > 99 ? "99+" : String(count);
  }
}

function find(selector) {
  return document.querySelector(selector);
}
