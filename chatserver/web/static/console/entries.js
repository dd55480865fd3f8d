// What went over the wire, within bounds: the oldest goes first.

import { parseFrame } from "./protocol.js";
import { bytesOf } from "./frame.js";

export const MAX_ENTRIES = 1_000;
export const MAX_CHARACTERS = 4 * 1024 * 1024;

const SIGNS = { sent: ">", received: "<", note: "*" };

/**
 * Entries of the log: direction (sent, received or note), time in ms, text, size in bytes, and for
 * a reply the ms since the request of its id.
 */
export class Entries {
  #entries = [];
  #characters = 0;
  #asked = new Map();

  get length() {
    return this.#entries.length;
  }

  /** Add what was sent or received, or a note of our own. */
  add(direction, data) {
    const binary = typeof data !== "string";
    const text = binary ? "(binary)" : data;
    const size = binary ? data.byteLength : bytesOf(data);
    const latency = direction === "note" ? null : this.#measure(direction, parseFrame(data));
    this.#entries.push({ direction, time: Date.now(), text, size, latency });
    this.#characters += text.length;
    while (this.#entries.length > MAX_ENTRIES || this.#characters > MAX_CHARACTERS) {
      this.#characters -= this.#entries.shift().text.length;
    }
  }

  clear() {
    this.#entries = [];
    this.#characters = 0;
  }

  /** List the entries of a direction (any if empty) that contain a text, but not the newest ones. */
  select(direction, text, held = 0) {
    const wanted = text.toLowerCase();
    return this.#entries.slice(0, Math.max(0, this.length - held)).filter(
      (entry) =>
        (!direction || entry.direction === direction) && entry.text.toLowerCase().includes(wanted),
    );
  }

  #measure(direction, frame) {
    if (frame?.id === undefined) return null;
    const id = JSON.stringify(frame.id);
    if (direction === "sent") {
      this.#asked.delete(id);
      this.#asked.set(id, performance.now());
      if (this.#asked.size > MAX_ENTRIES) this.#asked.delete(this.#asked.keys().next().value);
      return null;
    }
    const since = this.#asked.get(id);
    this.#asked.delete(id);
    return since === undefined ? null : performance.now() - since;
  }
}

/** Write an entry as one line, as docs/protocol.md writes conversations. */
export function lineOf({ direction, time, text, size, latency }) {
  const took = latency === null ? "" : ` ${latency.toFixed(1)} ms`;
  const measures = direction === "note" ? "" : ` ${size} B${took}`;
  return `${new Date(time).toISOString()}${measures} ${SIGNS[direction]} ${text}`;
}
