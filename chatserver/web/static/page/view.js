// The page as a whole: which parts of it are shown, and what they say. It knows no connection.

import { find, put } from "./dom.js";
import { Log } from "./log.js";
import { Panels } from "./panels.js";

const TYPING_NAMED = 2;

/** Shows a session; `attach` names it. */
export class View {
  #session = null;
  #start = find("chat-start");
  #status = find("chat-status");
  #rooms = find("chat-rooms");
  #composer = find("chat-composer");
  #panels = new Panels();
  #logs = new Map(); // by room
  #title = document.title;
  #due = null;

  attach(session) {
    this.#session = session;
    this.#panels.attach(session);
  }

  /** The log of the current room, or null. */
  get log() {
    return this.#logs.get(this.#session.current) ?? null;
  }

  /** Show the state of the connection. */
  state(state) {
    this.#status.show(state);
    if (state.name === "stopped") this.#start.entering(false);
  }

  suggest(name, room) {
    this.#start.suggest(name, room);
  }

  /** Show the first form, with what was wrong about the last try. */
  askName(message = "") {
    this.#inside(false);
    this.#start.ask(message);
  }

  entering(busy) {
    this.#start.entering(busy);
  }

  /** Show the chat instead of the first form. */
  enter() {
    this.entering(false);
    this.#inside(true);
  }

  /** Show one room; without one (null), that there is none. */
  room(room) {
    for (const [known, log] of this.#logs) {
      if (!log.hidden && known !== room) log.settle();
      log.hidden = known !== room;
      if (this.#session.rooms.get(known.name) === known) continue;
      log.remove();
      this.#logs.delete(known);
    }
    find("#conversation").classList.toggle("empty", room === null);
    find("#nowhere").hidden = room !== null;
    const title = room ? this.#session.title(room.name) : "";
    find("#room-name").classList.toggle("direct", Boolean(room?.direct));
    put(find("#room-name"), title);
    if (room && !this.#logs.has(room)) this.#addLog(room, title);
    this.#composer.show(room, title);
    this.#panels.close();
    this.seen();
  }

  /** Bring everything up to date, once for many changes. */
  changed() {
    this.#due ??= setTimeout(() => {
      this.#due = null;
      this.#show();
    });
  }

  /** Read a message of somebody else to who cannot see it, and show it to who looks elsewhere. */
  heard(room, { username, text }) {
    if (room !== this.#session.current) return;
    put(find("#announcer"), `${username}: ${text}`);
    if (this.log?.atEnd) room.trim();
    this.seen();
  }

  /** Tell whether the person sees what is said in a room. */
  attends(room) {
    return room === this.#session.current && !document.hidden && (this.log?.atEnd ?? true);
  }

  /** Note what is in view. */
  seen() {
    const atEnd = this.log?.atEnd ?? true;
    if (this.attends(this.#session.current)) this.#session.seen();
    find("#news").hidden = atEnd || !this.#session.current?.unread;
  }

  /** Show an error that belongs to no message; an empty text takes it away. */
  complain(text) {
    find("#complaint").hidden = text === "";
    put(find("#complaint-text"), text);
  }

  #inside(inside) {
    this.#start.hidden = inside;
    for (const id of ["#chat", "#drawer", "#me"]) find(id).hidden = !inside;
    document.body.classList.toggle("inside", inside);
  }

  #addLog(room, title) {
    const log = new Log();
    this.#logs.set(room, log);
    find("#news").before(log);
    log.attach(room, this.#session.user, title);
  }

  #show() {
    const { rooms, current, others, unread, name } = this.#session;
    const members = new Map(others);
    const entries = [...rooms.values()].map((room) => [room.name, this.#entry(room, members)]);
    const known = new Set(rooms.keys());
    const open = others
      .filter(([room]) => !known.has(room))
      .map(([room, count]) => [room, { title: room, members: count }]);
    this.#rooms.show({
      joined: entries.filter(([, { direct }]) => !direct),
      direct: entries.filter(([, { direct }]) => direct),
      others: open,
    });
    this.#start.show(open);
    put(find("#my-name"), name);
    document.title = unread ? `(${unread}) ${this.#title}` : this.#title;
    find("#drawer-unread").hidden = unread === 0;
    put(find("#drawer-unread-count"), unread > 99 ? "99+" : String(unread));
    if (!current) return;
    // What was missed may have come while it is in view.
    if (current.unread && this.attends(current)) this.#session.seen();
    const { present } = current.people;
    put(find("#members-count"), String(present));
    put(find("#members-word"), present === 1 ? " member" : " members");
    const pins = current.pins.known.length;
    put(find("#pins-count"), pins ? ` ${pins}` : "");
    put(find("#typing"), typing(current.typing));
    put(find("#room-name"), this.#session.title(current.name));
    find("#news").hidden = (this.log?.atEnd ?? true) || !current.unread;
    this.log?.showOlder();
    this.#panels.show(current);
  }

  #entry(room, members) {
    const current = room === this.#session.current;
    const { direct, unread } = room;
    const count = direct ? 0 : room.people.present || members.get(room.name);
    return { title: this.#session.title(room.name), members: count, unread, current, direct };
  }
}

function typing(names) {
  if (!names.length) return "";
  if (names.length > TYPING_NAMED) return "Several people are typing…";
  return `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} typing…`;
}
