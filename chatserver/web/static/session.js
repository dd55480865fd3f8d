// Who we are and where: the name, the joined rooms, and what happens in them.

import { Refused } from "./protocol.js";
import { NEWEST, Room } from "./room.js";
import { Rooms } from "./rooms.js";

/** One person's chat: takes the view's wishes to the connection and the events to the view. */
export class Session {
  #view;
  #memory;
  #connection = null;
  #anonymous;
  #user = null; // our id, while there is a connection
  #name = null; // as registered, or as wished
  #wanted = null; // the room to enter first
  #rooms = new Rooms();
  #onlyOne = false;

  /** With `anonymous` the server is asked to know us again by its guest token. */
  constructor(view, memory, { anonymous }) {
    this.#view = view;
    this.#memory = memory;
    this.#anonymous = anonymous;
    view.suggestName(memory.get("name") ?? "");
  }

  attach(connection) {
    this.#connection = connection;
  }

  // Wishes of the person

  async enter(name, room) {
    this.#name = name;
    this.#wanted = room;
    this.#view.entering(true);
    if (!this.#user) return; // The next welcome goes on from here.
    try {
      await this.#settle(null);
    } catch (error) {
      if (error.code === "lost") return;
      this.#name = null;
      failed(error, (text) => this.#view.askName(text));
    }
  }

  async join(name) {
    if (this.#rooms.get(name)) {
      this.select(name);
      return;
    }
    try {
      this.#show(await this.#join(name));
    } catch (error) {
      failed(error, (text) => this.#view.complain(`You are not in ${name}: ${text}`));
    }
    await this.list();
  }

  async leave(name) {
    try {
      await this.#connection.request("leave", { room: name });
    } catch (error) {
      failed(error, (text) => this.#view.complain(`You are still in ${name}: ${text}`));
      return;
    }
    this.#forget(name);
    await this.list();
  }

  select(name) {
    this.#show(this.#rooms.get(name));
  }

  send(text) {
    this.#rooms.current?.outbox.send(text);
    return this.#rooms.current !== null;
  }

  hurry() {
    this.#connection.open();
  }

  /** Note that the page is being looked at. */
  seen() {
    if (this.#rooms.current) this.#rooms.current.unread = 0;
    this.#render();
  }

  /** Ask for the rooms there are. */
  async list() {
    if (!this.#user || document.hidden) return;
    try {
      const { rooms } = await this.#connection.request("list_rooms");
      this.#rooms.count(rooms);
      this.#render();
    } catch (error) {
      // The next round asks again; until then the old list is the best there is.
      failed(error, () => {});
    }
  }

  // What the connection tells

  state(state) {
    if (state.name !== "online") this.#user = null;
    this.#view.state(state);
    if (state.name === "online") this.list();
  }

  greeting() {
    const token = this.#anonymous ? this.#memory.get("guest_token") : null;
    return token ? { guest_token: token } : {};
  }

  greetingRefused() {
    this.#memory.forget("guest_token");
  }

  async welcomed(welcome) {
    this.#user = welcome.user;
    this.#onlyOne = welcome.limits?.max_rooms === 1;
    if (welcome.guest_token) this.#memory.set("guest_token", welcome.guest_token);
    if (this.#name !== null) await this.#settle(welcome.username);
    else if (welcome.username) this.#view.suggestName(welcome.username);
  }

  event(frame) {
    const room = this.#rooms.get(frame.room);
    const own = frame.sender === this.#user;
    if (frame.action === "error") {
      this.#view.complain(frame.message);
    } else if (frame.action === "message" && room) {
      if (room.message(frame, own)) this.#count(room, 1);
      this.#render();
    } else if (frame.action === "notification" && room) {
      room.notification(frame, own);
      if (frame.event === "rename" && frame.old === this.#name) this.#called(frame.username);
      this.#render();
    }
  }

  // Steps

  async #settle(registered) {
    if (registered !== this.#name && !(await this.#register())) return;
    this.#called(this.#name);
    this.#view.enter();
    for (const name of this.#rooms.names) {
      if (await this.#return(name)) this.#rooms.get(name).resumed();
      else this.#forget(name);
    }
    this.#render();
    if (this.#wanted === null) return;
    const room = this.#rooms.get(this.#wanted) ?? (await this.#return(this.#wanted));
    this.#wanted = null;
    this.#show(room ?? this.#rooms.current);
  }

  // False when the server does not want us by this name, and the person is asked for another.
  async #register() {
    try {
      const { username } = await this.#connection.request("register", { username: this.#name });
      this.#name = username;
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.transient) throw error;
      this.#name = null;
      this.#view.askName(error.message);
      return false;
    }
  }

  // Null when the server does not want us in this room, which is said.
  async #return(name) {
    try {
      return await this.#join(name);
    } catch (error) {
      if (!(error instanceof Refused) || error.transient) throw error;
      this.#view.complain(`You are not in ${name}: ${error.message}`);
      return null;
    }
  }

  async #join(name) {
    const before = this.#rooms.get(name);
    const missing = before?.missing ?? { last: NEWEST };
    const reply = await this.#connection.request("join", { room: name, ...missing });
    const room = this.#rooms.get(reply.room) ?? this.#rooms.add(this.#make(reply.room));
    const news = room.joined(reply, this.#user);
    if (before) this.#count(room, news);
    if (this.#onlyOne) {
      for (const other of this.#rooms.names) if (other !== room.name) this.#forget(other);
    }
    return room;
  }

  #make(name) {
    return new Room(name, {
      transmit: (fields) => this.#connection.request("message", { room: name, ...fields }),
      author: () => ({ username: this.#name, sender: this.#user }),
      unseen: (news) => this.#view.unseen(news),
    });
  }

  #count(room, news) {
    const watched = room === this.#rooms.current && !document.hidden;
    if (!watched) room.unread += news;
  }

  #forget(name) {
    const { current } = this.#rooms;
    const room = this.#rooms.get(name);
    this.#rooms.remove(name);
    room?.log.element.remove();
    if (room === current) this.#display();
  }

  #called(name) {
    this.#name = name;
    this.#memory.set("name", name);
    this.#view.rename(name);
  }

  #show(room) {
    if (this.#rooms.current) this.#rooms.current.draft = this.#view.draft;
    this.#rooms.current = room;
    this.#display();
  }

  #display() {
    this.seen();
    this.#view.conversation(this.#rooms.current);
  }

  #render() {
    this.#view.rooms(this.#rooms.joined, this.#rooms.others);
  }
}

function failed(error, say) {
  if (!(error instanceof Refused)) throw error;
  say(error.message);
}
