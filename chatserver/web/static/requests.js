// Which reply belongs to which request: ids, and a deadline for each.

import { Refused } from "./protocol.js";

/** The requests of one connection that wait for their reply. */
export class Requests {
  #last = 0;
  #waiting = new Map();

  /** Open a request: its `id` for the frame, and the promise of its reply. */
  open(timeout) {
    const id = ++this.#last;
    const reply = new Promise((resolve, reject) => {
      const late = () => this.#take(id)?.reject(new Refused("timeout", "No answer came in time."));
      this.#waiting.set(id, { resolve, reject, timer: setTimeout(late, timeout) });
    });
    return { id, reply };
  }

  /** Give a frame to the request it answers; false when it answers none. */
  settle(frame) {
    const request = this.#take(frame.id);
    if (!request) return false;
    if (frame.action === "error") {
      const { code = "error", message = "The server refused.", retry_after: after } = frame;
      request.reject(new Refused(code, message, after));
    } else {
      request.resolve(frame);
    }
    return true;
  }

  /** Fail everything that still waits, because the connection is gone. */
  abandon() {
    for (const id of [...this.#waiting.keys()]) {
      this.#take(id).reject(new Refused("lost", "The connection was lost."));
    }
  }

  #take(id) {
    const request = this.#waiting.get(id);
    if (!request) return null;
    this.#waiting.delete(id);
    clearTimeout(request.timer);
    return request;
  }
}
