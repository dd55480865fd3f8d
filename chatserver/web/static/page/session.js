// Who we are and where: the conversation with the server, and the rooms in it.

import { ActionError, ClosedError, LostError, cleanName, connect } from "../chatserver.js";
import { directRoom, isDirect, partner } from "./direct.js";
import { PAGE, Room } from "./room.js";
import { Speech } from "./speech.js";

const READ_EVERY = 2_000;
const WORDS = {
  3503: "A moderator has removed you.",
  3504: "You have too many connections.",
  3507: "You are banned from this server.",
};

/**
 * One person's chat: carries the wishes out, and tells the view what to show.
 *
 * `device` and `tab` are memories: of the name and of people's names, and of the rooms of this tab.
 */
export class Session {
  chat = null;
  rooms = new Map();
  current = null;
  others = []; // rooms with people: `[name, members]`
  speech = new Speech(this);
  name = ""; // as registered
  #view;
  #token;
  #device;
  #tab;
  #wanted = null; // `[name, room]` of the first form, until we are in
  #inside = false;
  #over = false;
  #reading = null;
  #single = false; // whether the server lets us be in one room only, beside direct ones
  #names; // of the people in direct rooms, by id

  constructor(view, { token, device, tab }) {
    this.#view = view;
    this.#token = token;
    this.#device = device;
    this.#tab = tab;
    // Without a prototype: a user's id may be "constructor".
    this.#names = Object.assign(Object.create(null), device.get("names"));
  }

  get user() {
    return this.chat.user;
  }

  get unread() {
    return [...this.rooms.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  /** Begin: with the first form, or where this tab was before it was reloaded. */
  start() {
    const name = this.#device.get("name") ?? "";
    const room = this.#tab.get("current") ?? "lobby";
    this.#view.suggest(name, isDirect(room) ? "lobby" : room);
    this.#view.askName();
    if (name && this.#tab.get("rooms")) this.#wanted = [name, room];
    this.#open();
  }

  /** Take a name and go to a room, and to all rooms that were not left. */
  async enter(name, room) {
    const { chat } = this;
    this.#wanted = [name, room];
    this.#view.entering(true);
    if (this.#over) {
      this.#open(); // It will come here again.
      return;
    }
    try {
      const { username } = await chat.connected();
      this.name = username === name ? name : await chat.register(name);
    } catch (error) {
      if (error instanceof LostError) this.enter(name, room);
      else if (error instanceof ActionError) this.#ask(error);
      return; // What has ended it all is told by the chat itself.
    }
    this.#wanted = null;
    this.#inside = true;
    this.#device.set("name", this.name);
    this.#view.enter();
    for (const known of this.rooms.values()) this.#join(known);
    await this.join(room);
    await this.#gather();
    if (!this.current) this.#show([...this.rooms.values()][0] ?? null);
  }

  /** Go to a room, joining it if need be. */
  async join(wanted) {
    const name = cleanName(wanted);
    const room = this.rooms.get(name) ?? this.#add(name);
    if (room.joined || (await this.#join(room))) {
      this.#show(room);
      if (this.#single && !room.direct) await this.#leaveOthers(room);
    }
    await this.list();
  }

  /** Go to the room of ourselves and somebody else. */
  async direct(user, username) {
    this.#know(user, username);
    await this.join(directRoom(this.user, user));
  }

  async leave(name) {
    try {
      await this.chat.leave(name);
    } catch (error) {
      this.complain(`You are still in ${name}: ${error.message}`);
      return;
    }
    this.#forget(this.rooms.get(name));
    await this.list();
  }

  /** Read the rooms that there are. */
  async list() {
    const found = [];
    try {
      let page = { more: true };
      while (page.more) {
        page = await this.chat.request("list_rooms", { after: page.after });
        found.push(...Object.entries(page.rooms));
      }
    } catch {
      return; // The next time will do.
    }
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    this.others = found.sort(([one], [other]) => compare(one, other));
    this.changed();
  }

  /** What the person calls a room: a direct one has the other's name. */
  title(room) {
    if (!isDirect(room)) return room;
    const other = partner(room, this.user);
    return this.#names[other] ?? other;
  }

  /** Connect now, also after the server has closed the connection for good. */
  hurry() {
    if (this.#over) this.#open();
    else this.chat.reconnect();
  }

  /** Note that the person sees the end of the current room. */
  seen() {
    const room = this.current;
    if (!room?.joined) return;
    room.seen();
    // Each costs a request; the newest position will do.
    this.#reading ??= setTimeout(() => {
      this.#reading = null;
      const { name, end } = this.current ?? {};
      if (end) this.chat.read(name, end).catch(() => {}); // Servers may keep no cursors.
    }, READ_EVERY);
  }

  complain(text) {
    this.#view.complain(text);
  }

  /** Let the view show how things are. */
  changed() {
    // Another tab may have changed it.
    if (this.#inside) this.name = this.chat.username ?? this.name;
    this.#view.changed();
  }

  #open() {
    const username = this.#inside ? this.name : null;
    this.#over = false;
    this.chat = connect(undefined, { token: this.#token, username });
    this.#listen();
    if (this.#wanted) this.enter(...this.#wanted);
    if (this.#inside) for (const room of this.rooms.values()) this.#join(room);
  }

  async #listen() {
    try {
      for await (const event of this.chat) this.#take(event);
    } catch (error) {
      this.#stopped(error);
    }
  }

  #take(event) {
    const { action, room } = event;
    if (action === "connecting") this.#view.state({ name: "connecting" });
    else if (action === "online") this.#online(event);
    else if (action === "offline") this.#offline(event);
    else if (action === "adopted") this.#adopt(event);
    else if (action === "error") this.complain(event.message);
    else if (action === "read") this.rooms.get(room)?.seen(event.offset);
    else if (action === "message" && isDirect(room)) this.#greeted(event);
  }

  #online({ username, limits }) {
    this.#single = limits?.max_rooms === 1;
    this.#view.state({ name: "online" });
    if (this.#inside) this.name = username;
    else if (username) this.#view.suggest(username);
    this.list();
  }

  #offline(event) {
    for (const room of this.rooms.values()) room.lose();
    this.#view.state({ ...event, name: "waiting" });
  }

  // The client has given up. What was not acknowledged is kept, and the next one takes it over.
  #stopped(error) {
    this.#over = true;
    for (const room of this.rooms.values()) {
      room.joined = false;
      room.lose();
    }
    this.#view.state({ name: "stopped", reason: WORDS[error.code] ?? error.message });
    if (!(error instanceof ActionError)) return;
    this.#ask(error);
    this.#open();
  }

  #ask({ message }) {
    this.#wanted = null;
    this.#inside = false;
    this.#view.askName(message);
  }

  async #gather() {
    const own = await this.chat.rooms().catch(() => []); // Servers may offer none.
    for (const { room, last } of own) if (last) this.#meet({ ...last, room });
    const names = [...(this.#tab.get("rooms") ?? []), ...own.map(({ room }) => room)];
    const fresh = [...new Set(names)].filter((name) => {
      return !this.rooms.has(name) && (isDirect(name) || !this.#single);
    });
    await Promise.all(fresh.map((name) => this.#join(this.#add(name), { quietly: true })));
    this.#remember();
  }

  // The server has left them by itself; it would be joined again with the next connection.
  async #leaveOthers(room) {
    const others = [...this.rooms.values()].filter((other) => other !== room && !other.direct);
    await Promise.all(others.map(({ name }) => this.leave(name)));
  }

  #add(name) {
    const room = new Room(name, {
      user: () => this.user,
      attended: () => this.#view.attends(room),
      changed: () => this.changed(),
      heard: (entry) => this.#heard(room, entry),
    });
    this.rooms.set(name, room);
    return room;
  }

  #join(room, options) {
    room.joining ??= this.#joinOnce(room, options).finally(() => {
      room.joining = null;
    });
    return room.joining;
  }

  async #joinOnce(room, { quietly = false } = {}) {
    try {
      const since = room.position;
      this.#follow(room, await this.chat.join(room.name, { since, last: PAGE }));
      room.joined = true;
      return true;
    } catch (error) {
      if (error instanceof ClosedError) return false;
      this.#forget(room);
      if (!quietly) this.complain(`You are not in ${this.title(room.name)}: ${error.message}`);
      return false;
    }
  }

  async #follow(room, handle) {
    try {
      await room.follow(handle);
    } catch (error) {
      if (!(error instanceof ActionError) || this.#over) return;
      this.#forget(room);
      this.complain(`You are not in ${this.title(room.name)} any more: ${error.message}`);
    }
  }

  #forget(room) {
    if (!room || this.rooms.get(room.name) !== room) return;
    this.rooms.delete(room.name);
    if (room === this.current) this.#show([...this.rooms.values()].at(-1) ?? null);
    this.#remember();
    this.changed();
  }

  #show(room) {
    this.current = room;
    this.#view.room(room);
    this.#remember();
    this.changed();
  }

  #remember() {
    this.#tab.set("rooms", [...this.rooms.keys()]);
    this.#tab.set("current", this.current?.name ?? null);
  }

  #heard(room, entry) {
    this.#meet({ ...entry, room: room.name });
    this.#view.heard(room, entry);
  }

  // Somebody writes to us whom we did not talk with before.
  #greeted(event) {
    if (!this.#inside || this.rooms.has(event.room)) return;
    this.#meet(event);
    this.#join(this.#add(event.room), { quietly: true });
  }

  #meet({ sender, username, room }) {
    if (isDirect(room) && sender !== this.user) this.#know(sender, username);
  }

  #know(user, username) {
    if (!username || this.#names[user] === username) return;
    this.#names[user] = username;
    this.#device.set("names", this.#names);
  }

  #adopt({ kind, room: name, outcome, ...fields }) {
    const room = this.rooms.get(name) ?? this.#add(name);
    this.speech.adopt(room, kind, fields, outcome);
    this.changed();
    if (this.#inside && !room.joined) this.#join(room, { quietly: true });
  }
}
