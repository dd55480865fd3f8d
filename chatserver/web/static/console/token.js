// The token, which is stored only if asked for, and then only as long as the tab is open.

/** Keeps what stands in a token's field over a reload, while a box is checked. */
export class KeptToken {
  #key;
  #field;
  #box;

  constructor(path, field, box) {
    this.#key = `chatserver:${path}:console:token`;
    this.#field = field;
    this.#box = box;
    box.addEventListener("change", () => this.save());
    try {
      const found = sessionStorage.getItem(this.#key);
      field.value = found ?? "";
      box.checked = found !== null;
    } catch {
      // The browser lets this page store nothing.
      box.disabled = true;
    }
  }

  /** Store the token, or take away what was stored, as the box says. */
  save() {
    if (this.#box.disabled) return;
    if (this.#box.checked) sessionStorage.setItem(this.#key, this.#field.value);
    else sessionStorage.removeItem(this.#key);
  }
}
