// One room's own messages on their way: sending, then sent, refused or failed.

/**
 * Sends messages and knows what became of each.
 *
 * `transmit({text, cid})` makes the request; `changed(entry)` hears of every step of an entry
 * `{cid, text, state, reason, timestamp}`. A retry uses the same cid, which the server counts once.
 * After a refusal that may pass, the server refuses what follows until the first refused message
 * comes again: therefore refused messages go again together and in their order.
 */
export class Outbox {
  #entries = new Map();
  #transmit;
  #changed;

  constructor(transmit, changed) {
    this.#transmit = transmit;
    this.#changed = changed;
  }

  /** Send a new message, behind those that were refused before. */
  send(text) {
    this.#again();
    const entry = { cid: newCid(), text, timestamp: new Date().toISOString() };
    this.#entries.set(entry.cid, entry);
    this.#go(entry);
  }

  /** Send an entry again; one that was refused takes the other refused ones with it. */
  retry(entry) {
    if (entry.state === "refused") this.#again();
    else if (entry.state === "failed") this.#go(entry);
  }

  /** Take a message event of our own; false when it came from another page of ours. */
  arrived({ cid, text, timestamp }) {
    const entry = this.#entries.get(cid);
    if (!entry) return false;
    this.#entries.delete(cid);
    this.#change(entry, { state: "sent", text, timestamp });
    return true;
  }

  #again() {
    for (const entry of this.#entries.values()) {
      if (entry.state === "refused") this.#go(entry);
    }
  }

  async #go(entry) {
    this.#change(entry, { state: "sending", reason: "" });
    try {
      const { timestamp } = await this.#transmit({ text: entry.text, cid: entry.cid });
      if (entry.state === "sending") this.#change(entry, { state: "sent", timestamp });
    } catch (error) {
      if (entry.state !== "sending") return;
      const state = error.transient ? "refused" : "failed";
      const reason = error.code === "lost" ? "Not confirmed: it may have arrived." : error.message;
      this.#change(entry, { state, reason });
    }
  }

  #change(entry, fields) {
    Object.assign(entry, fields);
    this.#changed(entry);
  }
}

// Not crypto.randomUUID: that is missing on plain http.
function newCid() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
