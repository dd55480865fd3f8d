// The console: connect, fill in or write a frame, send it, and see what comes back.

import { socketUrl } from "./protocol.js";
import { Actions } from "./actions.js";
import { Connection } from "./connection.js";
import { PayloadForm } from "./form.js";
import { FrameEditor } from "./frame.js";
import { Log } from "./log.js";
import { fieldsOf, isUnknown } from "./schema.js";
import { KeptToken } from "./token.js";

const { socket: path, actions: actionsPath } = document.body.dataset;
const [address, token, keep, connectButton] = find("address", "token", "keep", "connect-button");
const [status, choice, summary, sendButton] = find("status", "choice", "summary", "send-button");
const [frameText, check] = find("frame", "check");
const [view, list, filter, direction] = find("view", "list", "filter", "direction");
const [pause, clear, copy, count, copied] = find("pause", "clear", "copy", "count", "copied");

const log = new Log({ view, list, filter, direction, pause, clear, copy, count, copied });
const frame = new FrameEditor(frameText, check);
const form = new PayloadForm(document.getElementById("fields"), () =>
  frame.update(choice.value, form.names, form.read()),
);
const actions = new Actions(actionsPath, { choice, summary }, (action) => {
  form.show(action ? fieldsOf(action.schema) : []);
  if (!action) return;
  if (isUnknown(action.schema)) summary.textContent += " Its fields have no schema: write them.";
  frame.start(action.action, form.read());
});
const kept = new KeptToken(path, token, keep);
const connection = new Connection({
  state(name, text) {
    document.body.dataset.state = name;
    status.textContent = text;
    connectButton.textContent = name === "closed" ? "Connect" : "Disconnect";
    sendButton.disabled = name !== "open";
    log.add("note", text);
    if (name === "open") actions.load(token.value);
  },
  received: (data) => log.add("received", data),
});

address.value = socketUrl(path, location.href);
actions.load(token.value);

onSubmit("connect", () => {
  if (!connection.idle) {
    connection.close();
    return;
  }
  kept.save();
  connection.open(address.value.trim(), token.value);
});

onSubmit("compose", () => {
  if (!connection.send(frame.text)) return;
  log.add("sent", frame.text);
  frame.advance();
});

frameText.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) frameText.form.requestSubmit();
});

function onSubmit(id, call) {
  document.getElementById(id).addEventListener("submit", (event) => {
    event.preventDefault();
    call();
  });
}

function find(...ids) {
  return ids.map((id) => document.getElementById(id));
}
