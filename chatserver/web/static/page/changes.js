// What edits, deletions, reactions and pins make of a message.

/** Make an entry of a message as the server gives it, live or in a history. */
export function messageEntry(event, own) {
  const { sender, username = "", text = "", timestamp, offset, cid, reply_to: replyTo } = event;
  return {
    ...{ kind: "message", sender, username, text, timestamp, offset, cid, replyTo, own },
    edited: Boolean(event.edited),
    pinned: Boolean(event.pinned),
    deleted: Boolean(event.deleted),
    reactions: new Map(
      Object.entries(event.reactions ?? {}).map(([emoji, { count, senders }]) => {
        return [emoji, { count, senders: new Set(senders) }];
      }),
    ),
    state: "stored",
    reason: "",
    known: offset ?? 0, // changes up to this offset are part of it
    changes: [], // our own that have not come back yet: `{cid, event, state, reason}`
  };
}

const CHANGES = {
  edit(entry, { text }) {
    entry.text = text;
    entry.edited = true;
  },
  // Who reads the history later is told no more of it than that it is gone.
  delete(entry) {
    Object.assign(entry, { deleted: true, own: false, pinned: false, replyTo: undefined });
    Object.assign(entry, { sender: undefined, username: "", text: "", changes: [] });
    entry.reactions.clear();
  },
  reaction({ reactions }, { emoji, remove, sender }) {
    const reaction = reactions.get(emoji) ?? { count: 0, senders: new Set() };
    if (remove) {
      // Histories tell only some of many senders; who is none of few has nothing to take back.
      const untold = reaction.count - reaction.senders.size;
      if (reaction.senders.delete(sender) || untold > 0) reaction.count -= 1;
    } else if (!reaction.senders.has(sender)) {
      reaction.count += 1;
      reaction.senders.add(sender);
    }
    if (reaction.count > 0) reactions.set(emoji, reaction);
    else reactions.delete(emoji);
  },
  pin(entry, { remove }) {
    entry.pinned = !remove;
  },
};

/** Apply an event to the message it is about; tell whether that changed it. */
export function change(entry, event) {
  const apply = CHANGES[event.action];
  if (!apply || entry.deleted || event.offset <= entry.known) return false;
  entry.changes = entry.changes.filter(({ cid }) => cid !== event.cid);
  apply(entry, event);
  return true;
}

/** Return a message as its reader is to see it: with what they have changed, stored or not. */
export function seenBy(user, entry) {
  const own = entry.changes.filter(({ state, event: { action } }) => {
    return action === "edit" || (action !== "delete" && state !== "failed");
  });
  if (!own.length) return entry;
  const reactions = [...entry.reactions].map(([emoji, { count, senders }]) => {
    return [emoji, { count, senders: new Set(senders) }];
  });
  const seen = { ...entry, reactions: new Map(reactions) };
  for (const { event } of own) CHANGES[event.action](seen, { ...event, sender: user });
  return seen;
}
