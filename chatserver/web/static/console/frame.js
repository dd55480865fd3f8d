// The frame to be sent, as text that can be written by hand; a form only fills it in.

import { parseFrame } from "./protocol.js";

/** Keeps the editor, its check and the number for the next `id`. */
export class FrameEditor {
  #text;
  #check;
  #id = 1;

  constructor(text, check) {
    this.#text = text;
    this.#check = check;
    text.addEventListener("input", () => this.#judge());
    this.#judge();
  }

  get text() {
    return this.#text.value;
  }

  /** Write a new frame of this action. */
  start(action, values) {
    this.#write({ action, id: this.#id, ...values });
  }

  /** Put the values of a form into the frame; what else was written into it stays. */
  update(action, names, values) {
    const frame = parseFrame(this.text);
    if (!frame) {
      this.start(action, values);
      return;
    }
    const others = Object.entries(frame).filter(([name]) => !names.includes(name));
    this.#write({ ...Object.fromEntries(others), ...values });
  }

  /** Count on after the frame was sent, if it had our number; all else stays as it is written. */
  advance() {
    if (parseFrame(this.text)?.id !== this.#id) return;
    const ours = new RegExp(`("id"\\s*:\\s*)${this.#id}(?!\\d)`, "g");
    if (this.text.match(ours).length !== 1) return;
    this.#id += 1;
    this.#text.value = this.text.replace(ours, `$1${this.#id}`);
    this.#judge();
  }

  #write(frame) {
    this.#text.value = JSON.stringify(frame, null, 2);
    this.#judge();
  }

  #judge() {
    const verdict = judge(this.text);
    this.#check.textContent = `${bytesOf(this.text)} bytes. ${verdict}`;
    this.#text.setAttribute("aria-invalid", String(verdict !== ""));
  }
}

/** Count the bytes of a text as UTF-8. */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}

function judge(text) {
  if (text === "") return "";
  try {
    JSON.parse(text);
  } catch (error) {
    return `Not JSON, and sent as it is: ${error.message}`;
  }
  return parseFrame(text) ? "" : "No JSON object, and sent as it is.";
}
