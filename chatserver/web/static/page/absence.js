// What a room says after an interruption: that it is over, and what was missed.

const AGAIN = "You are connected again.";
const GAPS = {
  no_history: "What was said in between is not shown here.",
  long: "Much was said meanwhile.",
  trimmed: "More was said meanwhile than this room keeps.",
  reset: "The history of this room was begun anew.",
};

/** Adds lines to a transcript, and counts in them what comes after all. */
export class Absence {
  #transcript;
  #missed = null; // `{line, until, count}` while missed messages come

  constructor(transcript) {
    this.#transcript = transcript;
  }

  /** Say that so many events follow that were missed, up to an offset. */
  recovered(missed, until) {
    const line = this.#transcript.line(AGAIN);
    if (missed) this.#missed = { line, until, count: 0 };
  }

  /** Say that something may be missing, and lead to where it begins, if it is kept. */
  gap(reason, seen) {
    const kept = reason === "long" || reason === "trimmed";
    this.#transcript.line(`${AGAIN} ${GAPS[reason]}`, kept ? seen.offset : null);
  }

  /** Take an event that may be one of those which were missed; messages of others are counted. */
  take(offset, counts) {
    if (!this.#missed) return;
    const { line, until } = this.#missed;
    if (counts && offset <= until) {
      this.#missed.count += 1;
      const { count } = this.#missed;
      const were = count === 1 ? "message was" : "messages were";
      this.#transcript.retell(line, `${AGAIN} ${count} ${were} sent meanwhile:`);
    }
    if (offset >= until) this.#missed = null;
  }
}
