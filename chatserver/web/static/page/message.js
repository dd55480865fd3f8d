// One message as it stands in the log.

import { seenBy } from "./changes.js";
import { make, makeButton, makeWritten, putLinked, tell } from "./dom.js";
import { readTime, stamp } from "./times.js";

const QUOTED = 120; // characters
const UNDERWAY = { edit: "Saving…", delete: "Deleting…" };
const REFUSED = {
  edit: "Not changed.",
  delete: "Not deleted.",
  reaction: "The reaction was not sent.",
  pin: "The pin was not changed.",
};

/** Fill an item of the log with a message; `find(offset)` looks for the one that it answers. */
export function showMessage(item, entry, { user, find }) {
  const seen = seenBy(user, entry);
  const { sender, username, own, deleted, state, pinned } = seen;
  item.classList.add("message");
  item.classList.toggle("own", own);
  item.classList.toggle("deleted", deleted);
  item.classList.toggle("sending", state === "sending");
  item.classList.toggle("failed", state === "failed");
  item.classList.toggle("pinned", pinned);
  item.style.setProperty("--hue", hue(sender ?? ""));
  if (deleted) {
    item.replaceChildren(make("p", "text", "This message was deleted."));
    return;
  }
  const avatar = make("span", "avatar", initial(username));
  avatar.ariaHidden = "true";
  const head = make("p", "head");
  head.append(makeWritten("span", "author", username), " ", stamp(readTime(entry.timestamp)));
  if (seen.edited) head.append(" ", make("span", "note", "edited"));
  if (pinned) head.append(" ", make("span", "note pin", "pinned"));
  const body = make("div", "body");
  if (seen.replyTo) body.append(quote(item, seen.replyTo, find(seen.replyTo)));
  body.append(words(entry, seen));
  if (seen.reactions.size) body.append(reactions(item, entry, seen.reactions, user));
  if (state !== "stored") body.append(fate(item, entry));
  for (const own of entry.changes) body.append(...changeFate(item, entry, own));
  item.replaceChildren(avatar, head, body);
}

// What was refused may be of any size, perhaps for that reason: then it is a box to scroll in.
function words({ state, changes }, { text: said }) {
  const text = makeWritten("p", "text", "");
  putLinked(text, said);
  const refused = ({ event, state }) => event.action === "edit" && state === "failed";
  if (state === "failed" || changes.some(refused)) {
    text.classList.add("bounded");
    text.role = "group";
    text.ariaLabel = "What was not sent";
    text.tabIndex = 0;
  }
  return text;
}

function quote(item, offset, quoted) {
  const button = makeButton("quote", "", () => tell(item, "goto", { offset }));
  if (!quoted) {
    button.append("An earlier message");
  } else {
    const said = quoted.deleted ? "deleted" : quoted.text.slice(0, QUOTED);
    button.append(makeWritten("b", "", quoted.username), " ", makeWritten("span", "", said));
  }
  button.prepend(make("span", "hush", "In reply to "));
  return button;
}

function reactions(item, entry, all, user) {
  const list = make("ul", "reactions");
  list.ariaLabel = "Reactions";
  for (const [emoji, { count, senders }] of all) {
    const button = makeButton("reaction", "", () => tell(item, "react", { entry, emoji }));
    button.append(makeWritten("span", "", emoji), " ", make("span", "count", String(count)));
    button.ariaPressed = String(senders.has(user));
    const one = make("li");
    one.append(button);
    list.append(one);
  }
  return list;
}

function fate(item, entry) {
  const line = make("p", "state");
  if (entry.state === "sending") {
    line.append("Sending…");
    return line;
  }
  line.append(
    make("span", "", `Not sent. ${entry.reason}`),
    " ",
    makeButton("quiet", "Retry", () => tell(item, "retry", { entry })),
    " ",
    makeButton("quiet", "Discard", () => tell(item, "discard", { entry })),
  );
  return line;
}

// Reactions and pins are seen at once where they will stand.
function changeFate(item, entry, own) {
  const { event, state, reason } = own;
  if (state === "sending" && event.action in UNDERWAY) {
    return [make("p", "state", UNDERWAY[event.action])];
  }
  if (state !== "failed") return [];
  const line = make("p", "state refused");
  line.append(
    make("span", "", `${REFUSED[event.action]} ${reason}`),
    " ",
    makeButton("quiet", "Retry", () => tell(item, "retry-change", { entry, own })),
    " ",
    makeButton("quiet", "Undo", () => tell(item, "undo-change", { entry, own })),
  );
  return [line];
}

function initial(name) {
  return [...name][0]?.toUpperCase() ?? "?";
}

function hue(sender) {
  let sum = 0;
  for (const char of sender) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}
