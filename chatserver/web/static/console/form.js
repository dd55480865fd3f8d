// A payload's fields as a form. The server is the judge: what is out of bounds may be sent.

import { make } from "../page/dom.js";

const STATES = { omit: "left out", null: "null", value: "this value:" };

/** Draws fields and reads them; `changed()` is called at each input. */
export class PayloadForm {
  #place;
  #changed;
  #rows = [];

  constructor(place, changed) {
    this.#place = place;
    this.#changed = changed;
  }

  /** Show these fields, as `fieldsOf` lists them, in place of others. */
  show(fields) {
    this.#rows = fields.map((field) => new Row(field, this.#changed));
    this.#place.replaceChildren(...this.#rows.map((row) => row.element));
  }

  /** The names of all fields, sent or not. */
  get names() {
    return this.#rows.map((row) => row.name);
  }

  /** Return the values to send; fields that cannot be read are marked and left out. */
  read() {
    return Object.fromEntries(this.#rows.flatMap((row) => row.read()));
  }
}

class Row {
  #field;
  #state = null;
  #input;
  #error = make("p", "error");

  constructor(field, changed) {
    this.#field = field;
    const id = `field-${encodeURIComponent(field.name)}`;
    this.element = make("div", "field");
    const label = make("label", "", field.name);
    label.htmlFor = id;
    this.#input = control(field);
    this.#input.id = id;
    const hint = make("p", "hint", field.hint);
    hint.id = `${id}-hint`;
    this.#error.id = `${id}-error`;
    this.#input.setAttribute("aria-describedby", `${hint.id} ${this.#error.id}`);
    const head = make("div", "head");
    head.append(label);
    const states = [...(field.required ? [] : ["omit"]), ...(field.nullable ? ["null"] : [])];
    if (states.length) {
      this.#state = choose([...states, "value"].map((state) => [STATES[state], state]));
      this.#state.setAttribute("aria-label", `How to send ${field.name}`);
      this.#state.value = field.required ? "value" : "omit";
      head.append(this.#state);
    }
    this.element.append(head, this.#input, hint, this.#error);
    this.#input.addEventListener("input", () => {
      if (this.#state) this.#state.value = "value";
      changed();
    });
    this.#state?.addEventListener("change", changed);
  }

  get name() {
    return this.#field.name;
  }

  read() {
    this.#complain("");
    const state = this.#state?.value ?? "value";
    if (state === "omit") return [];
    if (state === "null") return [[this.name, null]];
    try {
      return [[this.name, parse(this.#field.kind, this.#input.value)]];
    } catch (error) {
      this.#complain(error.message);
      return [];
    }
  }

  #complain(text) {
    this.#error.textContent = text;
    this.#input.setAttribute("aria-invalid", String(text !== ""));
  }
}

function parse(kind, text) {
  if (kind === "string") return text;
  if (kind === "integer" && !/^-?\d+$/.test(text.trim())) throw new Error("This is no integer.");
  if (kind === "number" && (text.trim() === "" || !Number.isFinite(Number(text)))) {
    throw new Error("This is no number.");
  }
  if (kind === "integer" || kind === "number") return Number(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

function control({ kind, choices, preset }) {
  if (kind === "boolean" || kind === "choice") {
    const values = kind === "boolean" ? [false, true] : choices;
    const select = choose(values.map((value) => [String(value), JSON.stringify(value)]));
    if (values.includes(preset)) select.value = JSON.stringify(preset);
    return select;
  }
  const input = make(kind === "json" ? "textarea" : "input");
  if (kind === "json") input.rows = 2;
  if (kind === "integer" || kind === "number") input.inputMode = "decimal";
  input.autocomplete = "off";
  input.spellcheck = kind === "string";
  return input;
}

function choose(options) {
  const select = make("select");
  select.append(...options.map(([text, value]) => new Option(text, value)));
  return select;
}
