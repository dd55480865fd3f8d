// One joined room: its log, its outbox, and what we know of it.

import { Log } from "./log.js";
import { Outbox } from "./outbox.js";

/** Messages that who enters is shown. */
export const NEWEST = 50;

/** A room the person is in. */
export class Room {
  members = 0;
  unread = 0;
  draft = "";
  log;
  outbox;
  #expectOurselves = true;
  #complete = false;
  #seen = 0; // the offset of the newest message here
  #since = null; // where the room's history stood for us; null where it keeps none

  /** `transmit({text, cid})` sends a message; `author()` says who we are; `unseen` as in Log. */
  constructor(name, { transmit, author, unseen }) {
    this.name = name;
    this.log = new Log(name, { onRetry: (entry) => this.outbox.retry(entry), unseen });
    this.outbox = new Outbox(transmit, (entry) => this.log.entry(entry, author()));
  }

  /** What `join` has to be asked for so that nothing is missing here. */
  get missing() {
    return this.#since ? { since: this.#since } : { last: NEWEST };
  }

  /**
   * Take the reply to join; it counts us already, and our own notice is still to come. Shows the
   * messages it brings and returns how many of them are news to `user`.
   */
  joined({ members = 0, offset, epoch, recovered = false, messages = [] }, user) {
    this.members = members;
    this.#expectOurselves = true;
    this.#complete = recovered;
    if (this.#since?.epoch && epoch !== this.#since.epoch) this.#seen = 0;
    let news = 0;
    for (const frame of messages) {
      if (frame.action === "message" && this.message(frame, frame.sender === user)) news += 1;
    }
    this.#since = offset === undefined ? null : { offset, epoch };
    this.#seen = offset ?? 0;
    return news;
  }

  /** Say that we were away, and whether that left a gap. */
  resumed() {
    const gap = this.#complete ? "" : " What was said in between is not shown here.";
    this.log.notice(`You are connected again.${gap}`);
  }

  /** Show a message event; true when it is news to the person. */
  message(frame, own) {
    if (frame.offset <= this.#seen) return false;
    if (frame.offset) this.#seen = frame.offset;
    // Before its first message a room has no epoch, and only its beginning can be asked for.
    if (frame.offset && this.#since?.epoch) this.#since.offset = frame.offset;
    if (own && this.outbox.arrived(frame)) return false;
    this.log.message(frame, own);
    return !own;
  }

  /** Show a notice and count who came and went. */
  notification({ event, text = "", timestamp }, own) {
    this.log.notice(text, timestamp);
    if (event === "join" && own && this.#expectOurselves) this.#expectOurselves = false;
    else if (event === "join") this.members += 1;
    else if (event === "leave") this.members = Math.max(0, this.members - 1);
  }
}
