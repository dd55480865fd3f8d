// The log as people see it: filtered, paused, cleared, copied.

import { KeyedList, make } from "../page/dom.js";
import { parseFrame } from "./protocol.js";
import { Entries, MAX_ENTRIES, lineOf } from "./entries.js";

const PREVIEW = 400; // characters
const ARROWS = { sent: "→", received: "←", note: "•" };

/** Shows entries; `parts` are the elements of the page it works with. */
export class Log {
  #entries = new Entries();
  #parts;
  #list;
  #paused = false;
  #missed = 0;
  #due = false;

  constructor(parts) {
    this.#parts = parts;
    this.#list = new KeyedList(parts.list, draw, () => {});
    parts.filter.addEventListener("input", () => this.#show());
    parts.direction.addEventListener("change", () => this.#show());
    parts.pause.addEventListener("click", () => this.#pause(!this.#paused));
    parts.clear.addEventListener("click", () => this.#clear());
    parts.copy.addEventListener("click", () => this.#copy());
    this.#show();
  }

  /** Add what was sent or received, or a note; it is drawn with the next picture. */
  add(direction, data) {
    this.#entries.add(direction, data);
    if (this.#paused) {
      this.#missed += 1;
      this.#label();
    } else if (!this.#due) {
      this.#due = true;
      requestAnimationFrame(() => this.#follow());
    }
  }

  // Follows the newest entry as long as the reader is at the end.
  #follow() {
    this.#due = false;
    if (this.#paused) return;
    const { view } = this.#parts;
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
    this.#show();
    if (atEnd) view.scrollTop = view.scrollHeight;
  }

  #show() {
    const entries = this.#selected;
    this.#list.show(entries.map((entry) => [entry, entry]));
    const bound = this.#entries.length === MAX_ENTRIES ? ", older ones are gone" : "";
    this.#parts.count.textContent = `${entries.length} of ${this.#entries.length} shown${bound}`;
  }

  get #selected() {
    const { direction, filter } = this.#parts;
    return this.#entries.select(direction.value, filter.value, this.#missed);
  }

  #pause(paused) {
    this.#paused = paused;
    this.#missed = 0;
    this.#label();
    if (!paused) this.#follow();
  }

  #label() {
    this.#parts.pause.setAttribute("aria-pressed", String(this.#paused));
    this.#parts.pause.textContent = this.#missed ? `Pause (${this.#missed} new)` : "Pause";
  }

  #clear() {
    this.#entries.clear();
    this.#missed = 0;
    this.#label();
    this.#show();
  }

  async #copy() {
    const lines = this.#selected.map(lineOf);
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      this.#parts.copied.textContent = `${lines.length} copied`;
    } catch {
      // Browsers offer it only to pages that came over https or from this machine.
      this.#parts.copied.textContent = "The browser does not let this page copy";
    }
  }
}

function draw(entry) {
  const item = make("li", entry.direction);
  const head = make("span", "measures");
  const arrow = make("span", "arrow", ARROWS[entry.direction]);
  arrow.setAttribute("aria-hidden", "true");
  head.append(make("time", "", clock(entry.time)), arrow, make("span", "hush", entry.direction));
  if (entry.direction === "note") {
    item.append(head, written("span", entry.text));
    return item;
  }
  head.append(make("span", "size", `${entry.size} B`));
  if (entry.latency !== null) head.append(make("span", "latency", `${entry.latency.toFixed(1)} ms`));
  const whole = make("details");
  const summary = make("summary");
  const short = entry.text.length > PREVIEW ? `${entry.text.slice(0, PREVIEW)}…` : entry.text;
  summary.append(head, written("code", short));
  whole.append(summary);
  whole.addEventListener("toggle", () => whole.append(written("pre", pretty(entry.text))), {
    once: true,
  });
  item.append(whole);
  return item;
}

// JSON is read from the left, and no text in it is to turn what stands around it.
function written(tag, text) {
  const element = make(tag, "written", text);
  element.dir = "ltr";
  return element;
}

function pretty(text) {
  const frame = parseFrame(text);
  return frame ? JSON.stringify(frame, null, 2) : text;
}

function clock(time) {
  const date = new Date(time);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${parts.map((part) => String(part).padStart(2, "0")).join(":")}.${milliseconds}`;
}
