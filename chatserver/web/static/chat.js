// Puts the page together.

import { Connection } from "./connection.js";
import { Memory } from "./memory.js";
import { takeToken } from "./protocol.js";
import { Session } from "./session.js";
import { View } from "./view.js";

const LIST_EVERY = 10_000;

const path = document.body.dataset.socket;
const { token, fragment } = takeToken(location.hash);
// A token must not stay where it is copied, bookmarked and photographed.
if (fragment !== location.hash) {
  history.replaceState(null, "", location.pathname + location.search + fragment);
}

const view = new View();
const session = new Session(view, new Memory(path), { anonymous: token === null });
const connection = new Connection({ path, page: location.href, token, listener: session });
view.attach(session);
session.attach(connection);

view.askName();
connection.open();

setInterval(() => session.list(), LIST_EVERY);
addEventListener("online", () => connection.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  connection.hurry();
  session.seen();
  session.list();
});
