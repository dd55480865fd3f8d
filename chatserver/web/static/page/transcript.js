// What was said in one room, in the order of its history; knows no document.

import { change, messageEntry } from "./changes.js";
import { noticeEntry } from "./notices.js";

const PENDING = Infinity; // the place of what has no place yet: behind everything
const AHEAD = 1_000; // changes that are remembered for messages on their way

/**
 * The entries of a room: messages, folded notices, and lines that the page says by itself.
 *
 * The listener, if there is one, is told `inserted(entry, next)` (the entry before which it
 * stands, or undefined), `updated(entry)`, `removed(entry)`.
 */
export class Transcript {
  entries = [];
  listener = null;
  #byOffset = new Map();
  #byCid = new Map();
  #ahead = []; // changes that came before what they change, which the next page may bring

  find(offset) {
    return this.#byOffset.get(offset) ?? null;
  }

  pending(cid) {
    return this.#byCid.get(cid) ?? null;
  }

  /** The pinned messages, the newest first. */
  get pinned() {
    return this.entries.filter(({ pinned }) => pinned).reverse();
  }

  /** The newest own message that can be edited. */
  get lastOwn() {
    return this.entries.findLast(({ own, offset, deleted }) => own && offset && !deleted) ?? null;
  }

  /** Take a message as it is said; return its entry, or null if it stood here before. */
  message(event, own) {
    if (this.#byOffset.has(event.offset)) return null;
    const waiting = own ? this.#byCid.get(event.cid) : undefined;
    if (waiting) {
      this.stored(waiting, event);
      this.#byCid.delete(event.cid);
      return null;
    }
    const entry = messageEntry(event, own);
    this.#insert(entry, event.offset ?? this.#next);
    return entry;
  }

  /** Take an event about a message; what is not here is brought as it was when it was read. */
  change(event) {
    const entry = this.#byOffset.get(event.target);
    if (entry && change(entry, event)) this.listener?.updated(entry);
    if (entry) return;
    this.#ahead.push(event);
    if (this.#ahead.length > AHEAD) this.#ahead.shift();
  }

  /** Show a change of our own to a message, and what becomes of it. */
  begin(entry, own) {
    if (!entry.changes.includes(own)) entry.changes.push(own);
    this.mark(entry, own, "sending");
  }

  /** Take a change of our own back that was refused. */
  undo(entry, own) {
    entry.changes = entry.changes.filter((other) => other !== own);
    this.listener?.updated(entry);
  }

  /** Put a page of the history in its place; it has all changes up to its `offset`. */
  page({ messages, offset }, isOwn) {
    for (const event of messages) {
      if (event.deleted) this.gone(event.offset);
      if (event.action !== "message" || this.#byOffset.has(event.offset)) continue;
      const entry = messageEntry(event, isOwn(event));
      entry.known = offset;
      this.#insert(entry, event.offset);
    }
    for (const event of this.#ahead.splice(0)) {
      if (this.#byOffset.has(event.target)) this.change(event);
    }
  }

  /** Show that a message stood at an offset which was deleted before it came here. */
  gone(offset) {
    if (this.#byOffset.has(offset)) return;
    this.#insert(messageEntry({ offset, deleted: true }, false), offset);
  }

  /** Show a message of our own that is being sent. */
  say({ cid, text, reply_to }, sender, username) {
    const timestamp = new Date().toISOString();
    const entry = messageEntry({ cid, text, reply_to, sender, username, timestamp }, true);
    entry.state = "sending";
    this.#byCid.set(cid, entry);
    this.#insert(entry, PENDING);
    return entry;
  }

  /** Give a message of our own the place that the server gave it. */
  stored(entry, { offset, timestamp, sender, username }) {
    if (entry.state === "stored") return;
    // Without a history, the event can only be told by it.
    if (offset !== undefined) this.#byCid.delete(entry.cid);
    const stands = offset !== undefined && this.#byOffset.has(offset);
    this.#take(entry);
    const told = { offset, timestamp, sender, username };
    Object.assign(entry, told, { state: "stored", known: offset ?? 0 });
    if (stands) this.listener?.removed(entry);
    else this.#insert(entry, offset ?? this.#next);
  }

  /** Show another state of a message of our own, or of a change of our own to a message. */
  mark(entry, marked, state, reason = "") {
    Object.assign(marked, { state, reason });
    this.listener?.updated(entry);
  }

  /** Take an entry out. */
  drop(entry) {
    this.#byCid.delete(entry.cid);
    this.#take(entry);
    this.listener?.removed(entry);
  }

  /** Add a notification, to the line before if that is one of them. */
  notice(event) {
    const last = this.entries[this.#placeOf(this.#between) - 1];
    if (last?.kind === "notices") {
      last.notices.push(event);
      this.listener?.updated(last);
    } else {
      this.#insert(noticeEntry(event), this.#between);
    }
  }

  /** Add a line that nobody said; it may lead to what came behind an offset. */
  line(text, since = null) {
    const entry = { kind: "line", text, since, timestamp: new Date().toISOString() };
    this.#insert(entry, this.#between);
    return entry;
  }

  /** Give a line another text. */
  retell(entry, text) {
    entry.text = text;
    this.listener?.updated(entry);
  }

  /** Forget everything but what is being sent. */
  clear() {
    this.#ahead = [];
    this.#drop(this.entries.filter(({ key }) => key !== PENDING));
  }

  /** Forget the oldest entries, but for so many; return the oldest offset that is left, if any. */
  trim(keep) {
    this.#drop(this.entries.slice(0, -keep));
    return this.entries.find(({ offset }) => offset)?.offset ?? null;
  }

  // Keys are offsets. What has none counts on from the newest entry that has a place,
  get #next() {
    return Math.floor(this.entries.findLast(({ key }) => key !== PENDING)?.key ?? 0) + 1;
  }

  // and what is no message stands between two of them.
  get #between() {
    return this.#next - 0.5;
  }

  #drop(entries) {
    for (const entry of entries) this.listener?.removed(entry);
    const gone = new Set(entries);
    for (const { offset } of entries) this.#byOffset.delete(offset);
    this.entries = this.entries.filter((entry) => !gone.has(entry));
  }

  #insert(entry, key) {
    entry.key = key;
    if (entry.offset) this.#byOffset.set(entry.offset, entry);
    const place = this.#placeOf(key);
    this.entries.splice(place, 0, entry);
    this.listener?.inserted(entry, this.entries[place + 1]);
  }

  #take(entry) {
    this.entries.splice(this.entries.indexOf(entry), 1);
  }

  // Behind what has the same key; most entries come last or first.
  #placeOf(key) {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle].key <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
