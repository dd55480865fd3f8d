// What the browser remembers for one chat, as far as it lets us.

/** A small store of JSON; where the browser forbids storage it lasts as long as the page. */
export class Memory {
  #storage;
  #scope;
  #here = new Map();

  /** `storage()` returns localStorage or sessionStorage, or raises. */
  constructor(storage, scope) {
    this.#storage = storage;
    this.#scope = `chatserver-page:${scope}:`;
  }

  get(key) {
    try {
      return JSON.parse(this.#storage().getItem(this.#scope + key)) ?? this.#here.get(key) ?? null;
    } catch {
      return this.#here.get(key) ?? null;
    }
  }

  set(key, value) {
    this.#here.set(key, value);
    try {
      this.#storage().setItem(this.#scope + key, JSON.stringify(value));
    } catch {
      // Private windows and full disks: the copy above serves this page.
    }
  }
}
