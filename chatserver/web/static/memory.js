// What the browser remembers for one server path, as far as it lets us.

/** A small text store; where the browser forbids storage it lasts as long as the page. */
export class Memory {
  #scope;
  #here = new Map();

  constructor(path) {
    this.#scope = `chatserver:${path}:`;
  }

  get(key) {
    try {
      return localStorage.getItem(this.#scope + key) ?? this.#here.get(key) ?? null;
    } catch {
      return this.#here.get(key) ?? null;
    }
  }

  set(key, value) {
    this.#here.set(key, value);
    try {
      localStorage.setItem(this.#scope + key, value);
    } catch {
      // Private windows and full disks: the copy above serves this page.
    }
  }

  forget(key) {
    this.#here.delete(key);
    try {
      localStorage.removeItem(this.#scope + key);
    } catch {
      // Nothing was stored then.
    }
  }
}
