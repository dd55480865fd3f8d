// The rooms a person is in, the one in view, and the others there are.

/** Joined rooms in the order of joining, one of them current. */
export class Rooms {
  current = null;
  #joined = new Map();
  #open = {};

  get names() {
    return [...this.#joined.keys()];
  }

  get(name) {
    return this.#joined.get(name) ?? null;
  }

  add(room) {
    this.#joined.set(room.name, room);
    return room;
  }

  /** Take a room out; if it was current, the one joined last takes its place. */
  remove(name) {
    const room = this.get(name);
    this.#joined.delete(name);
    if (room === this.current) this.current = [...this.#joined.values()].at(-1) ?? null;
  }

  /** Note how many members the rooms have that anybody is in: `{name: members}`. */
  count(open) {
    this.#open = open;
    for (const [name, room] of this.#joined) room.members = open[name] ?? room.members;
  }

  /** List the joined rooms for display: `[name, {members, unread, current}]`. */
  get joined() {
    return [...this.#joined].map(([name, room]) => {
      const { members, unread } = room;
      return [name, { members, unread, current: room === this.current }];
    });
  }

  /** List the rooms one could join, by name. */
  get others() {
    return Object.entries(this.#open)
      .filter(([name]) => !this.#joined.has(name))
      .map(([name, members]) => [name, { members }])
      .sort(([a], [b]) => a.localeCompare(b));
  }
}
