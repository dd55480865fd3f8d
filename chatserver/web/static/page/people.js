// Who is in a room, as the server lists it and as its events go on from there.

/** The users in one room; knows no document. */
export class People {
  #users = new Map(); // by id, in the order they came
  outdated = false; // whether the connection was lost since they were listed
  #told = false; // whether the server tells when somebody has been away for long

  /** The number of those who are here now. */
  get present() {
    return this.list.filter(({ devices }) => devices > 0).length;
  }

  /** List them as `{sender, username, devices}`; who is away for a moment has 0 devices. */
  get list() {
    return [...this.#users.values()];
  }

  /** Take the server's list of `presence`, or of `members`, which are connections. */
  replace(listed, { told }) {
    this.#told = told;
    this.outdated = false;
    this.#users.clear();
    for (const { sender, username, devices } of listed) {
      const before = this.#users.get(sender)?.devices ?? 0;
      this.#users.set(sender, { sender, username, devices: devices ?? before + 1 });
    }
  }

  /** Take it that the connection is lost, until the next list. */
  lose() {
    this.outdated = true;
  }

  /** Take a `notification` or a `presence` event. */
  take({ event, state, sender, username }) {
    const { devices = 0 } = this.#users.get(sender) ?? {};
    // Who was away when it took another name comes back under that.
    const user = { sender, username, devices };
    if (event === "join") user.devices += 1;
    if (event === "leave") user.devices = Math.max(0, user.devices - 1);
    if (state === "online") user.devices = Math.max(1, user.devices);
    const gone = state === "offline" || (!this.#told && user.devices === 0);
    if (gone) this.#users.delete(sender);
    else this.#users.set(sender, user);
  }
}
