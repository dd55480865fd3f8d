// What the person says and changes: shown at once, and then with what became of it.

import { seenBy } from "./changes.js";

const CHANGES = {
  edit: (chat, room, offset, { text }, options) => chat.edit(room, offset, text, options),
  delete: (chat, room, offset, _, options) => chat.remove(room, offset, options),
  reaction: (chat, room, offset, { emoji, remove }, options) =>
    chat.react(room, offset, emoji, { remove, ...options }),
  pin: (chat, room, offset, { remove }, options) => chat.pin(room, offset, { remove, ...options }),
};

/**
 * Says, changes and takes back messages in rooms.
 *
 * The host has `chat`, `user`, `name`, and is told `complain(text)` and `changed()`.
 */
export class Speech {
  #host;

  constructor(host) {
    this.#host = host;
  }

  /** Send what the composer has; in the context of a message it answers or edits that one. */
  send(room, text, context) {
    if (context?.kind === "edit") {
      this.#begin(room, context.entry, { action: "edit", text });
    } else {
      this.#say(room, { cid: randomId(), text, reply_to: context?.entry.offset });
    }
  }

  /** Send a message again that was refused; under its `cid`, should it have been stored after all. */
  retry(room, { cid, text, replyTo }) {
    this.#say(room, { cid, text, reply_to: replyTo });
  }

  remove(room, entry) {
    this.#begin(room, entry, { action: "delete" });
  }

  /** React to a message, or take the same reaction back. */
  async react(room, entry, emoji) {
    const { user } = this.#host;
    const { count = 0, senders } = seenBy(user, entry).reactions.get(emoji) ?? {};
    let remove = senders?.has(user) ?? false;
    try {
      if (!remove && count > senders?.size) remove = await this.#hasReacted(room, entry, emoji);
    } catch ({ message }) {
      this.#host.complain(message);
      return;
    }
    this.#begin(room, entry, { action: "reaction", emoji, remove });
  }

  /** Pin a message, or take it off. */
  pin(room, entry) {
    const remove = seenBy(this.#host.user, entry).pinned;
    this.#begin(room, entry, { action: "pin", remove });
  }

  /** Send a change again that was refused. */
  change(room, entry, own) {
    const { chat } = this.#host;
    const { cid, event } = own;
    const send = CHANGES[event.action];
    room.transcript.begin(entry, own);
    this.#follow(room, entry, own, send(chat, room.name, entry.offset, event, { cid }));
  }

  /** Show what is sent here in place of a tab that is gone; what is changed may not be here yet. */
  adopt(room, kind, fields, outcome) {
    if (kind === "message") this.#settle(room, this.#show(room, fields), outcome);
    else outcome.catch(({ message }) => this.#host.complain(message));
  }

  #say(room, message) {
    const { cid, text, reply_to: replyTo } = message;
    const entry = this.#show(room, message);
    this.#settle(room, entry, this.#host.chat.publish(room.name, text, { cid, replyTo }));
  }

  #show({ transcript }, message) {
    const { user, name } = this.#host;
    const entry = transcript.pending(message.cid) ?? transcript.say(message, user, name);
    transcript.mark(entry, entry, "sending");
    return entry;
  }

  async #settle({ transcript }, entry, outcome) {
    try {
      const sent = await outcome;
      const { user: sender, name: username } = this.#host; // now known, if it was not before
      transcript.stored(entry, { ...sent, sender, username });
    } catch (error) {
      transcript.mark(entry, entry, "failed", error.message);
    }
    this.#host.changed();
  }

  // Histories tell only some of many senders.
  async #hasReacted(room, { offset }, wanted) {
    const { chat, user } = this.#host;
    const reactions = await chat.reactions(room.name, offset);
    return reactions.some(({ emoji, sender }) => emoji === wanted && sender === user);
  }

  #begin(room, entry, event) {
    this.change(room, entry, { cid: randomId(), event });
  }

  // A stored change stays until its event comes, which may be later.
  async #follow({ transcript }, entry, own, outcome) {
    try {
      await outcome;
      transcript.mark(entry, own, "stored");
    } catch (error) {
      transcript.mark(entry, own, "failed", error.message);
    }
    this.#host.changed();
  }
}

// Not crypto.randomUUID: that is missing on plain http.
function randomId() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
