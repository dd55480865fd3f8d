// What the person says: shown at once, and then with what became of it.

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
      this.#change(this.#host.chat.edit(room.name, context.entry.offset, text));
    } else {
      this.#say(room, { cid: randomId(), text, reply_to: context?.entry.offset });
    }
  }

  /** Send a message again that was refused; under its `cid`, should it have been stored after all. */
  retry(room, { cid, text, replyTo }) {
    this.#say(room, { cid, text, reply_to: replyTo });
  }

  remove(room, entry) {
    this.#change(this.#host.chat.remove(room.name, entry.offset));
  }

  /** React to a message, or take the same reaction back. */
  react(room, entry, emoji) {
    const { chat, user } = this.#host;
    const remove = entry.reactions.get(emoji)?.senders.has(user) ?? false;
    this.#change(chat.react(room.name, entry.offset, emoji, { remove }));
  }

  /** Show a message that is sent here in place of a tab that is gone. */
  adopt(room, message, outcome) {
    this.#settle(room, this.#show(room, message), outcome);
  }

  #say(room, message) {
    const { cid, text, reply_to: replyTo } = message;
    const entry = this.#show(room, message);
    this.#settle(room, entry, this.#host.chat.publish(room.name, text, { cid, replyTo }));
  }

  #show({ transcript }, message) {
    const { user, name } = this.#host;
    const entry = transcript.pending(message.cid) ?? transcript.say(message, user, name);
    transcript.mark(entry, "sending");
    return entry;
  }

  async #settle({ transcript }, entry, outcome) {
    try {
      const sent = await outcome;
      const { user: sender, name: username } = this.#host; // now known, if it was not before
      transcript.stored(entry, { ...sent, sender, username });
    } catch (error) {
      transcript.mark(entry, "failed", error.message);
    }
    this.#host.changed();
  }

  async #change(outcome) {
    try {
      await outcome;
    } catch (error) {
      this.#host.complain(error.message);
    }
  }
}

// Not crypto.randomUUID: that is missing on plain http.
function randomId() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
