// One joined room: its log, its outbox, and what we know of it.

import { Log } from "./log.js";
import { Outbox } from "./outbox.js";

/** A room the person is in. */
export class Room {
  members = 0;
  unread = 0;
  draft = "";
  log;
  outbox;
  #expectOurselves = true;

  /** `transmit({text, cid})` sends a message; `author()` says who we are; `unseen` as in Log. */
  constructor(name, { transmit, author, unseen }) {
    this.name = name;
    this.log = new Log(name, { onRetry: (entry) => this.outbox.retry(entry), unseen });
    this.outbox = new Outbox(transmit, (entry) => this.log.entry(entry, author()));
  }

  /** Take the reply to join; it counts us already, and our own notice is still to come. */
  joined({ members = 0 }) {
    this.members = members;
    this.#expectOurselves = true;
  }

  /** Say that there was a gap. */
  resumed() {
    this.log.notice("You are connected again. What was said in between is not shown here.");
  }

  /** Show a message event; true when it is news to the person. */
  message(frame, own) {
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
