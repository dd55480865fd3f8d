// Puts the page together: what people wish goes to the session, what happens to the view.

import { takeToken } from "./page/address.js";
import "./page/composer.js";
import { find } from "./page/dom.js";
import { Memory } from "./page/memory.js";
import "./page/people_panel.js";
import "./page/pins_panel.js";
import "./page/rooms.js";
import "./page/search_panel.js";
import { Session } from "./page/session.js";
import "./page/start.js";
import "./page/status.js";
import { View } from "./page/view.js";

const LIST_EVERY = 30_000;

const { token, fragment } = takeToken(location.hash);
// A token must not stay where it is copied, bookmarked and photographed.
if (fragment !== location.hash) {
  history.replaceState(null, "", location.pathname + location.search + fragment);
}

const scope = new URL("..", import.meta.url).pathname;
const view = new View();
const session = new Session(view, {
  token,
  device: new Memory(() => localStorage, scope),
  tab: new Memory(() => sessionStorage, scope),
});
const { speech } = session;
const composer = find("chat-composer");

const wishes = {
  enter: ({ name, room }) => session.enter(name, room),
  join: ({ room }) => session.join(room),
  leave: ({ room }) => session.leave(room),
  direct: ({ sender, username }) => session.direct(sender, username),
  hurry: () => session.hurry(),
  typing: () => session.chat.typing(session.current.name),
  send: ({ text, context }) => {
    speech.send(session.current, text, context);
    view.log.toEnd();
  },
  retry: ({ entry }) => speech.retry(session.current, entry),
  discard: ({ entry }) => {
    session.current.transcript.drop(entry);
    view.log.focus({ preventScroll: true });
  },
  react: ({ entry, emoji }) => speech.react(session.current, entry, emoji),
  remove: ({ entry }) => speech.remove(session.current, entry),
  pin: ({ entry }) => speech.pin(session.current, entry),
  "retry-change": ({ entry, own }) => speech.change(session.current, entry, own),
  "undo-change": ({ entry, own }) => session.current.transcript.undo(entry, own),
  reply: ({ entry }) => composer.reply(entry),
  edit: ({ entry }) => composer.edit(entry),
  "edit-last": () => {
    const entry = session.current?.transcript.lastOwn;
    if (entry) composer.edit(entry);
  },
  older: () => session.current.older().catch(() => {}), // Scrolling on asks again.
  pins: ({ older }) => session.current.readPins({ older }),
  scrolled: () => view.seen(),
  search: ({ text, here, before, found, failed }) => {
    const room = here ? session.current?.name : undefined;
    session.chat.search(text, { room, before }).then(found, failed);
  },
  goto: async ({ room = session.current.name, offset }) => {
    await session.join(room);
    await point((current) => current.reach(offset));
  },
  "goto-since": ({ offset }) => point((current) => current.reachBehind(offset)),
};

async function point(reach) {
  try {
    const entry = await reach(session.current);
    if (entry) view.log.point(entry);
    else view.complain("That message is not there any more.");
  } catch (error) {
    view.complain(error.message);
  }
}

for (const [wish, fulfil] of Object.entries(wishes)) {
  document.addEventListener(`chat-${wish}`, ({ detail }) => fulfil(detail));
}
find("#dismiss").addEventListener("click", () => view.complain(""));
find("#news").addEventListener("click", () => {
  view.log.toEnd();
  view.log.focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  session.hurry();
  view.seen();
});
setInterval(() => session.list(), LIST_EVERY);

view.attach(session);
session.start();
