// One room that the person is in: what was said, who is there, and what is unread.

import { ActionError } from "../chatserver.js";
import { Absence } from "./absence.js";
import { isDirect } from "./direct.js";
import { People } from "./people.js";
import { Pins } from "./pins.js";
import { Transcript } from "./transcript.js";

/** Messages that who enters is shown, and that scrolling back brings at a time. */
export const PAGE = 50;

const FAR = 500; // at a time, on the way to a message far back
const KEEP = 1_000; // messages that a room keeps while nobody scrolls back in it
const TYPING_FOR = 5_000;
const REPLIES = new Set(["joined", "recovered", "gap"]); // their offset is no event's

/** A room, kept up to date by its events. */
export class Room {
  joined = false;
  joining = null; // the promise that it will be
  position = null; // how far the room was followed, to go on from there
  transcript = new Transcript();
  people = new People();
  pins = new Pins(this.transcript);
  unread = 0;
  read = Infinity; // what is behind this offset is new to the person
  draft = "";
  context = null; // `{kind: "reply" | "edit", entry}`: what the composer is at
  loading = false;
  moderates = false; // whether the person may pin, and delete what others said
  #before = null; // older messages are before this offset; null where there are none
  #first = null; // the first offset of what came with the join
  #end = 0; // the newest offset
  #whole = 0; // up to this offset, what came with the join had its changes in it
  #absence = new Absence(this.transcript);
  #typing = new Map();
  #handle = null;
  #host;

  /** The host tells `user()` and `attended()`, and is told `changed()`, and `heard(entry)` of a new message. */
  constructor(name, host) {
    this.name = name;
    this.#host = host;
  }

  get direct() {
    return isDirect(this.name);
  }

  /** The newest offset. */
  get end() {
    return this.#end;
  }

  get hasOlder() {
    return this.#before !== null;
  }

  /** The names of those who are typing. */
  get typing() {
    return [...this.#typing.values()].map(({ username }) => username);
  }

  /** Follow a joined room (of chatserver.js) until it is left, or there is no connection any more. */
  async follow(handle) {
    this.#handle = handle;
    for await (const event of handle) {
      this.position = handle.position ?? this.position;
      this.#take(event);
      this.#host.changed();
    }
  }

  /** Read who is here. */
  async meet() {
    const handle = this.#handle;
    try {
      this.people.replace(await handle.presence(), { told: true });
    } catch (error) {
      // Direct rooms have no presence, nor have servers without that plugin.
      if (!(error instanceof ActionError)) return;
      await handle.members().then(
        (members) => this.people.replace(members, { told: false }),
        () => {},
      );
    }
    this.#host.changed();
  }

  /** Read the next older messages. */
  async older(limit = PAGE) {
    if (this.loading || !this.hasOlder) return;
    this.loading = true;
    this.#host.changed();
    try {
      this.#page(await this.#handle.history({ before: this.#before, limit }));
    } finally {
      this.loading = false;
      this.#host.changed();
    }
  }

  /** Ask what is pinned, or what is further back; see `Pins.read`. */
  async readPins({ older }) {
    if (!this.#handle) return; // When it is joined, the panel asks again.
    const reading = this.pins.read((span) => this.#handle.history(span), { older });
    this.#host.changed();
    await reading;
    this.#host.changed();
  }

  /** Read back to a message and return its entry; null if it is gone. */
  async reach(offset) {
    await this.#readBack(offset);
    return this.transcript.find(offset);
  }

  /** Read back to the first message behind an offset and return its entry; null if there is none. */
  async reachBehind(offset) {
    await this.#readBack(offset + 1);
    const { entries } = this.transcript;
    return entries.find((entry) => entry.offset > offset && !entry.deleted) ?? null;
  }

  /** Take it that the connection is lost: nobody knows who is here and who is typing now. */
  lose() {
    for (const sender of [...this.#typing.keys()]) this.#stopTyping(sender);
    this.people.lose();
    this.#host.changed();
  }

  /** Note that everything here was read, on this device or on another one. */
  seen(offset = this.#end) {
    const { entries } = this.transcript;
    const behind = entries.filter((entry) => entry.offset > offset && !entry.own);
    this.unread = offset >= this.#end ? 0 : Math.min(this.unread, behind.length);
    if (this.unread === 0) this.read = Infinity;
    this.#host.changed();
  }

  /** Forget old messages, which scrolling back brings again. */
  trim() {
    if (this.transcript.entries.length <= 1.5 * KEEP) return;
    const oldest = this.transcript.trim(KEEP);
    if (oldest !== null) this.#before = oldest;
    this.pins.renew(); // Some were known of these only.
  }

  #take(event) {
    const { action, offset } = event;
    if (REPLIES.has(action)) this.moderates = event.moderate ?? false;
    if (action === "joined") this.#joined(event);
    else if (action === "recovered") this.#recovered(event);
    else if (action === "gap") this.#gap(event);
    else if (action === "message") this.#message(event);
    else if (action === "notification") this.#notification(event);
    else if (action === "presence") this.people.take(event);
    else if (action === "typing") this.#typingNow(event);
    else if (action === "erased") this.#erased(offset);
    else this.#change(event);
    if (offset > this.#end) this.#end = offset;
    if (REPLIES.has(action)) return;
    this.#absence.take(offset, action === "message" && !this.#isOwn(event));
  }

  #joined({ offset = 0, more = false, read, unread = 0, recovered }) {
    this.#end = offset;
    this.unread = unread;
    if (recovered !== undefined) return;
    this.pins.clear();
    this.#whole = offset;
    if (unread) this.read = read;
    this.#before = more ? offset + 1 : null;
    this.#first = more ? Infinity : null;
    this.meet();
  }

  #recovered({ offset, unread, missed }) {
    if (unread !== undefined) this.unread = unread;
    this.pins.renew();
    this.#absence.recovered(missed, offset);
    this.#end = Math.max(this.#end, offset ?? 0);
    this.meet();
  }

  async #gap({ reason, offset, unread, seen }) {
    this.meet();
    if (reason === "no_history") {
      this.#absence.gap(reason);
      return;
    }
    if (offset !== undefined) this.#end = offset;
    if (unread !== undefined) this.unread = unread;
    this.transcript.clear();
    this.pins.clear();
    this.#before = null;
    try {
      this.#page(await this.#handle.history({ limit: PAGE }));
    } catch {
      // The connection is lost again, and the next one brings another gap.
    }
    this.#absence.gap(reason, seen);
    this.#host.changed();
  }

  #page(page) {
    this.transcript.page(page, (event) => this.#isOwn(event));
    this.#before = page.more ? (page.next ?? null) : null;
  }

  #message(event) {
    const { sender, offset } = event;
    this.#stopTyping(sender);
    const own = this.#isOwn(event);
    // What the join or the recovery brought is counted by the server.
    const news = !own && !(offset <= this.#end);
    if (news && this.unread === 0 && !this.#host.attended()) this.read = offset - 1;
    const entry = this.transcript.message(event, own);
    this.#begins(offset);
    if (!entry || !news) return;
    this.unread += 1;
    this.#host.heard(entry);
  }

  #notification(event) {
    this.people.take(event);
    if (event.event === "leave") this.#stopTyping(event.sender);
    this.transcript.notice(event);
  }

  // What a join brings as it is read has a place; what it brings again may also be a lost change,
  // and the deletion that follows tells which message it was.
  #erased(offset) {
    if (offset > this.#whole) return;
    this.#begins(offset);
    this.transcript.gone(offset);
  }

  #change(event) {
    const { action, target } = event;
    if (action === "delete" && !(target < this.#before)) this.transcript.gone(target);
    this.transcript.change(event);
    this.pins.take(event);
  }

  // Older messages are before the first one that came with the join.
  #begins(offset) {
    if (this.#first !== null && offset < this.#first) this.#before = this.#first = offset;
  }

  async #readBack(offset) {
    while (!this.transcript.find(offset) && this.hasOlder && this.#before > offset) {
      const before = this.#before;
      await this.older(FAR);
      if (this.#before === before) break;
    }
  }

  #isOwn({ sender }) {
    return sender === this.#host.user();
  }

  #typingNow(event) {
    if (this.#isOwn(event)) return;
    const { sender, username } = event;
    clearTimeout(this.#typing.get(sender)?.timer);
    const timer = setTimeout(() => {
      this.#stopTyping(sender);
      this.#host.changed();
    }, TYPING_FOR);
    this.#typing.set(sender, { username, timer });
  }

  #stopTyping(sender) {
    clearTimeout(this.#typing.get(sender)?.timer);
    this.#typing.delete(sender);
  }
}
