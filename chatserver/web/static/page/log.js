// The log of one room: its transcript on the screen, at its end as long as the reader is there.

import { make, makeButton, makeWritten, tell } from "./dom.js";
import { showMessage } from "./message.js";
import { summary } from "./notices.js";
import { Stretches } from "./stretches.js";
import { dayOf, readTime, stamp } from "./times.js";
import { Toolbar } from "./toolbar.js";

const FOLLOWS_WITHIN = 5 * 60_000;
const NEAR = 48; // px from the end that still are the end
const AHEAD = 1_200; // px from the beginning at which older messages are read

/**
 * Shows a transcript.
 *
 * The list hangs upside down (column-reverse), so that the browser counts from the end: what is put
 * before it moves nothing. It tells `older` where the reader comes to the beginning, `end` where to
 * the end, and what is wished of a message.
 */
export class Log extends HTMLElement {
  room = null;
  #all = make("div", "all");
  #list = new Stretches(this.#all);
  #items = new Map(); // by entry
  #entries = new WeakMap(); // by item
  #user = null;
  #toolbar = new Toolbar();
  #older = makeButton("older quiet", "Show earlier messages", () => tell(this, "older"));

  /** Show a room to a user. */
  attach(room, user, title) {
    this.room = room;
    this.#user = user;
    this.role = "log";
    this.ariaLabel = `Messages in ${title}`;
    this.ariaLive = "off"; // What is new is announced; what scrolling back brings is not.
    this.tabIndex = 0;
    const top = make("div", "top");
    top.append(this.#older);
    // Upside down, the last one stands on top.
    this.append(this.#all, top);
    room.transcript.listener = this;
    for (const entry of room.transcript.entries) this.inserted(entry);
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A finger leaves whenever it is lifted, before the button below it hears of it.
    this.addEventListener("pointermove", ({ pointerType, target }) => {
      if (pointerType !== "touch") this.#point(target);
    });
    this.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") this.#unpoint();
    });
    this.addEventListener("click", ({ target }) => this.#point(target));
    this.addEventListener("focusin", ({ target }) => this.#point(target));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Whether the newest message is in view. */
  get atEnd() {
    return -this.scrollTop < NEAR;
  }

  /** Scroll to the newest message. */
  toEnd() {
    this.scrollTop = 0;
  }

  /** Scroll to a message, and put the focus there. */
  point(entry) {
    const item = this.#items.get(entry);
    item.scrollIntoView({ block: "center" });
    item.focus({ preventScroll: true });
  }

  /** Take away the line before what was new. */
  settle() {
    this.#all.querySelector(".new")?.remove();
  }

  /** Show whether there is more before this. */
  showOlder() {
    this.#older.hidden = !this.room.hasOlder;
    this.#older.textContent = this.room.loading ? "Loading…" : "Show earlier messages";
    if (!this.hidden) this.#look();
  }

  inserted(entry, next) {
    const known = this.#items.get(entry);
    const item = known ?? make("li");
    if (!known) item.tabIndex = -1;
    this.#items.set(entry, item);
    this.#entries.set(item, entry);
    const before = this.#items.get(next) ?? null;
    this.#list.insert(item, before);
    this.updated(entry);
    this.#joinFrom(before);
  }

  updated(entry) {
    const item = this.#items.get(entry);
    if (!item) return; // It was taken out before its fate was told.
    const held = item.contains(document.activeElement) && document.activeElement !== item;
    const { room } = this;
    const find = (offset) => room.transcript.find(offset);
    if (entry.kind === "message") showMessage(item, entry, { user: this.#user, find });
    else if (entry.kind === "notices") showNotices(item, entry);
    else showLine(item, entry);
    this.#join(item);
    // What had the focus may be gone, and the focus must not go with it.
    if (held) item.focus({ preventScroll: true });
    // The toolbar has gone with what stood there, or may stand there only now.
    if (item.matches(":hover, :focus-within")) this.#point(item);
  }

  removed(entry) {
    const item = this.#items.get(entry);
    const next = this.#list.after(item);
    this.#list.remove(item);
    this.#items.delete(entry);
    this.#joinFrom(next);
  }

  // Each day, and what is new, begins with a line of its own; one person's messages stand together.
  #join(item) {
    const entry = this.#entries.get(item);
    const before = this.#entries.get(this.#list.before(item));
    const at = readTime(entry.timestamp);
    const past = this.#timeBefore(item);
    item.querySelector(".day")?.remove();
    item.querySelector(".new")?.remove();
    const begins = past === null || dayOf(past) !== dayOf(at);
    if (entry.timestamp && begins) item.prepend(make("p", "day", dayOf(at)));
    const { read } = this.room;
    const isNew = entry.offset > read && !(before?.offset > read);
    if (isNew && !entry.own) item.prepend(make("p", "new", "New messages"));
    const follows = before?.sender !== undefined && before.sender === entry.sender;
    item.classList.toggle("follows", follows && at - past < FOLLOWS_WITHIN);
  }

  // What was deleted has no time; then what is behind it goes by the one before.
  #timeBefore(item) {
    const before = this.#list.before(item);
    if (!before) return null;
    const { timestamp } = this.#entries.get(before);
    return timestamp ? readTime(timestamp) : this.#timeBefore(before);
  }

  #joinFrom(item) {
    for (let next = item; next; next = this.#list.after(next)) {
      this.#join(next);
      if (this.#entries.get(next).timestamp) return;
    }
  }

  #scrolled() {
    if (this.hidden) return;
    this.#look();
    tell(this, "scrolled");
  }

  #look() {
    const left = this.scrollHeight - this.clientHeight + this.scrollTop;
    if (left < AHEAD && this.room.hasOlder && !this.room.loading) tell(this, "older");
  }

  #point(target) {
    const item = target.closest?.("li.message");
    const entry = item && this.#entries.get(item);
    if (entry?.offset && entry.state === "stored" && !entry.deleted) {
      this.#toolbar.place(item, entry, this.room.moderates);
    }
  }

  #unpoint() {
    if (!this.#toolbar.contains(document.activeElement)) this.#toolbar.leave();
  }

  // Arrows go from message to message, Tab to what can be done with it or scrolled by them.
  #key(event) {
    const { key, target } = event;
    const step = { ArrowUp: "before", ArrowDown: "after" }[key];
    if (!step || target.closest("chat-toolbar") || scrolls(target)) return;
    const item = target.closest("li[tabindex]");
    const next = item ? this.#list[step](item) : this.#list.last;
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

function scrolls(target) {
  return target.matches(".bounded") && target.scrollHeight > target.clientHeight;
}

function showLine(item, { text, since }) {
  const line = makeWritten("p", "notice", text);
  if (since !== null) {
    const lead = makeButton("quiet", "Read it from the beginning", () => {
      tell(item, "goto-since", { offset: since });
    });
    line.append(" ", lead);
  }
  item.replaceChildren(line);
}

function showNotices(item, { notices }) {
  const [{ timestamp }] = notices;
  const line = make("span", "", summary(notices));
  if (notices.length === 1) {
    const single = make("p", "notice");
    single.append(line, " ", stamp(readTime(timestamp)));
    item.replaceChildren(single);
    return;
  }
  const folded = make("details", "notice");
  folded.open = item.querySelector("details")?.open ?? false;
  const all = make("ul");
  for (const notice of notices) {
    const one = make("li", "", notice.text ?? "");
    one.append(" ", stamp(readTime(notice.timestamp)));
    all.append(one);
  }
  const head = make("summary");
  head.append(line);
  folded.append(head, all);
  item.replaceChildren(folded);
}

customElements.define("chat-log", Log);
