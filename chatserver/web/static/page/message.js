// One message as it stands in the log.

import { make, makeButton, makeWritten, put, putLinked, tell } from "./dom.js";
import { readTime, stamp } from "./times.js";

const QUOTED = 120; // characters

/** Fill an item of the log with a message; `find(offset)` looks for the one that it answers. */
export function showMessage(item, entry, { user, find }) {
  const { sender, username, own, deleted, state, pinned } = entry;
  item.classList.add("message");
  item.classList.toggle("own", own);
  item.classList.toggle("deleted", deleted);
  item.classList.toggle("sending", state === "sending");
  item.classList.toggle("failed", state === "failed");
  item.style.setProperty("--hue", hue(sender ?? ""));
  const avatar = make("span", "avatar", initial(username));
  avatar.ariaHidden = "true";
  const head = make("p", "head");
  head.append(makeWritten("span", "author", username), " ", stamp(readTime(entry.timestamp)));
  if (entry.edited && !deleted) head.append(" ", make("span", "note", "edited"));
  if (pinned) head.append(" ", make("span", "note", "pinned"));
  const body = make("div", "body");
  if (entry.replyTo && !deleted) body.append(quote(item, entry.replyTo, find(entry.replyTo)));
  body.append(text(entry));
  if (entry.reactions.size) body.append(reactions(item, entry, user));
  if (state !== "stored") body.append(fate(item, entry));
  item.replaceChildren(avatar, head, body);
}

function text({ text: said, deleted }) {
  const element = makeWritten("p", "text", "");
  if (deleted) put(element, "This message was deleted.");
  else putLinked(element, said);
  return element;
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

function reactions(item, entry, user) {
  const list = make("ul", "reactions");
  list.ariaLabel = "Reactions";
  for (const [emoji, { count, senders }] of entry.reactions) {
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

function initial(name) {
  return [...name][0]?.toUpperCase() ?? "?";
}

function hue(sender) {
  let sum = 0;
  for (const char of sender) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}
