// What is pinned in one room, however far back: asked of the server, then kept right by events.

import { change, messageEntry } from "./changes.js";

const PAGE = 50;
const MOST = 1_000; // at a time

/** The pinned messages of a room, of which its transcript has some or all. */
export class Pins {
  error = ""; // why the server could not be asked
  #transcript;
  #told = new Map(); // entries by offset, as the server told them
  #next = null; // there may be more before this offset; null where there is not
  #top = 0; // up to this offset, changes were part of what was told
  #fresh = false;
  #meanwhile = null; // events that came while the server is being asked

  constructor(transcript) {
    this.#transcript = transcript;
  }

  /** The pinned messages that are known, the newest first. */
  get known() {
    const further = [...this.#told.values()].filter(({ offset, pinned }) => {
      return pinned && !this.#transcript.find(offset);
    });
    const known = [...this.#transcript.pinned, ...further];
    return known.sort((one, other) => other.offset - one.offset);
  }

  /** Whether the server is being asked. */
  get reading() {
    return this.#meanwhile !== null;
  }

  /** Whether it has to be asked: there may be pins that are not known, also among the newest. */
  get stale() {
    return !this.#fresh && !this.reading && !this.error;
  }

  get hasMore() {
    return this.#next !== null;
  }

  /** Ask, by `history(span)`, for the newest ones, or for those next before what is known. */
  async read(history, { older }) {
    if (this.reading) return;
    const meanwhile = [];
    this.#meanwhile = meanwhile;
    this.error = "";
    const before = older && this.#fresh ? this.#next : undefined;
    const limit = before ? PAGE : Math.min(this.#told.size + PAGE, MOST);
    const { page, message } = await history({ pinned: true, before, limit }).then(
      (page) => ({ page }),
      ({ message }) => ({ message }),
    );
    if (this.#meanwhile !== meanwhile) return; // It was cleared.
    this.#meanwhile = null;
    if (page) this.#take(page, before);
    else this.error = message;
    for (const event of meanwhile) this.take(event);
  }

  /** Take an event about a message. */
  take(event) {
    if (this.reading) {
      this.#meanwhile.push(event);
      return;
    }
    const { action, target, offset, remove } = event;
    const entry = this.#told.get(target);
    const pinned = action === "pin" && !remove && offset > this.#top;
    if (entry) change(entry, event);
    else if (pinned && !(target < this.#next) && !this.#transcript.find(target)) this.#fresh = false;
  }

  /** Ask again when somebody looks. */
  renew() {
    this.#fresh = false;
    this.error = "";
  }

  /** Forget everything: it may be another history. */
  clear() {
    this.renew();
    this.#told.clear();
    this.#next = this.#meanwhile = null;
    this.#top = 0;
  }

  #take({ messages, offset, more, next }, before) {
    if (!before) this.#told.clear();
    for (const event of messages) {
      if (event.action !== "message") continue;
      const entry = messageEntry(event, false);
      entry.known = offset;
      this.#told.set(entry.offset, entry);
    }
    this.#next = more ? next : null;
    this.#top = before ? this.#top : offset;
    this.#fresh = true;
  }
}
