// The messages and notices of one room.

import { make, makeWritten } from "./dom.js";

const KEEP = 1_000;
const FOLLOWS_WITHIN = 5 * 60_000;
const NEAR_BOTTOM = 48;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** A scrolling log that stays at its end while the reader is there, and only then. */
export class Log {
  element = make("div", "log");
  #list = make("ol");
  #bottom = true;
  #top = 0;
  #news = false;
  #unseen;
  #onRetry;
  #previous = {};
  #entries = new WeakMap();

  /** `onRetry(entry)`: the reader wants it sent again; `unseen(bool)`: there is news below. */
  constructor(room, { onRetry, unseen }) {
    this.#onRetry = onRetry;
    this.#unseen = unseen;
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-label", `Messages in ${room}`);
    this.element.tabIndex = 0;
    this.element.hidden = true;
    this.element.append(this.#list);
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The on-screen keyboard and a growing message box take room away from the log.
    new ResizeObserver(() => this.#keepUp()).observe(this.element);
  }

  /** Appear where the reader left. */
  show() {
    this.element.hidden = false;
    if (!this.#bottom) this.element.scrollTop = this.#top;
    this.#tell(this.#news);
    this.#keepUp();
  }

  hide() {
    this.element.hidden = true;
  }

  /** Scroll to the newest message. */
  toEnd() {
    this.#bottom = true;
    this.#keepUp();
  }

  /** Append somebody's message. */
  message({ username = "", sender = username, text = "", timestamp }, own) {
    this.#append(this.#message({ username, sender, text, timestamp, own }));
  }

  /** Append our own message, or show what became of it. */
  entry(entry, { username, sender }) {
    const shown = this.#entries.get(entry);
    if (shown) {
      this.#showState(shown, entry);
      return;
    }
    const item = this.#message({ username, sender, ...entry, own: true });
    this.#entries.set(entry, item);
    this.#showState(item, entry);
    this.#append(item);
    this.toEnd();
  }

  /** Append a line that nobody said. */
  notice(text, timestamp) {
    const item = makeWritten("li", "notice", text);
    item.append(" ", stamp(this.#day(timestamp)));
    this.#previous.sender = null;
    this.#append(item);
  }

  #message({ username, sender, text, timestamp, own }) {
    const at = this.#day(timestamp);
    const follows = this.#previous.sender === sender && at - this.#previous.at < FOLLOWS_WITHIN;
    this.#previous = { ...this.#previous, sender, at };
    const item = make("li", "message");
    item.classList.toggle("own", own);
    item.classList.toggle("follows", follows);
    item.style.setProperty("--hue", hue(sender));
    const avatar = make("span", "avatar", initial(username));
    avatar.ariaHidden = "true";
    const head = make("p", "head");
    head.append(makeWritten("span", "author", username), " ", stamp(at));
    item.append(avatar, head, makeWritten("p", "text", text));
    return item;
  }

  #showState(item, entry) {
    item.querySelector(".text").textContent = entry.text;
    item.classList.toggle("sending", entry.state === "sending");
    item.classList.toggle("failed", entry.state === "failed" || entry.state === "refused");
    item.querySelector("time").replaceWith(stamp(new Date(entry.timestamp)));
    item.querySelector(".state")?.remove();
    if (!item.classList.contains("failed")) return;
    const retry = make("button", "quiet", "Retry");
    retry.type = "button";
    retry.addEventListener("click", () => {
      // The button goes away, and the focus must not go with it.
      this.element.focus({ preventScroll: true });
      this.#onRetry(entry);
    });
    const state = make("p", "state");
    state.append(make("span", "", `Not sent. ${entry.reason}`), " ", retry);
    item.append(state);
    this.#keepUp();
  }

  // Each day begins with a line of its own.
  #day(timestamp) {
    const told = new Date(timestamp ?? Date.now());
    const at = Number.isNaN(told.getTime()) ? new Date() : told;
    const today = day.format(at);
    if (this.#previous.day !== today) {
      this.#previous = { day: today };
      this.#append(make("li", "day", today));
    }
    return at;
  }

  #append(item) {
    this.#list.append(item);
    while (this.#list.childElementCount > KEEP) this.#list.firstElementChild.remove();
    if (!this.#bottom && item.classList.contains("message")) this.#tell(true);
    this.#keepUp();
  }

  #keepUp() {
    if (!this.#bottom || this.element.hidden) return;
    this.element.scrollTop = this.element.scrollHeight;
    this.#tell(false);
  }

  #tell(news) {
    this.#news = news;
    if (!this.element.hidden) this.#unseen(news);
  }

  #scrolled() {
    const { hidden, scrollHeight, scrollTop, clientHeight } = this.element;
    if (hidden) return;
    this.#top = scrollTop;
    this.#bottom = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
    if (this.#bottom) this.#tell(false);
  }
}

function stamp(at) {
  const element = make("time", "", clock.format(at));
  element.dateTime = at.toISOString();
  element.title = full.format(at);
  return element;
}

function initial(name) {
  return [...name][0]?.toUpperCase() ?? "?";
}

function hue(sender) {
  let sum = 0;
  for (const char of sender) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}
