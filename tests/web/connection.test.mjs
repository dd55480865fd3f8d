// Getting in, staying in, and being told to stay out.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import * as chatserver from "../../chatserver/web/static/chatserver.js";
import { open, Reader, Server, SharedStorage } from "./harness.mjs";

const TOKENS = [{ token: "alice-token", user: "alice", name: "alice" }];
const AUTH = { middlewares: [{ auth: { tokens: TOKENS } }, "size_limit"] };

test("a bad token stops the client with the reason", async (t) => {
  const server = await Server.start(t, AUTH);
  const chat = open(t, server.url, { token: "wrong" });
  const refused = { name: "HandshakeError", status: 401 };
  await assert.rejects(chat.connected(), refused);
  await assert.rejects(new Reader(chat).expect("offline"), refused);
  await assert.rejects(chat.publish("lobby", "hello"), refused);
  await assert.rejects(chat.join("lobby"), refused);
});

test("a token comes from a function, and is asked for again", async (t) => {
  const server = await Server.start(t, AUTH);
  const asked = [];
  const chat = open(t, server.url, {
    token: async () => {
      asked.push(asked.length);
      if (asked.length === 1) throw new Error("the sign-in does not answer");
      return "alice-token";
    },
  });
  const fate = new Reader(chat);
  const { reason, code } = await fate.expect("offline");
  assert.deepEqual([reason, code], ["There is no token: the sign-in does not answer", null]);
  assert.equal((await fate.expect("online")).user, "alice");
  assert.equal(asked.length, 2);

  const signedOut = new chatserver.HandshakeError(401, "You are signed out");
  const other = open(t, server.url, { token: () => Promise.reject(signedOut) });
  await assert.rejects(other.connected(), signedOut);
});

test("a busy server is asked again when it says", async (t) => {
  let asked = 0;
  const busy = createServer((request, response) => {
    asked += 1;
    response.writeHead(503, { "Retry-After": "7", "Content-Type": "text/plain" });
    response.end(request.headers.upgrade ? "" : "The server is full\n");
  });
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  const chat = open(t, `http://127.0.0.1:${busy.address().port}/ws`);
  const { reason, wait } = await new Reader(chat).expect("offline");
  assert.equal(reason, "The server is busy or going down (The server is full)");
  assert.equal(wait, 7_000);
  assert.equal(asked, 2);
});

test("an absent server is asked again and again", async (t) => {
  const server = await Server.start(t);
  await server.end("SIGKILL");
  const chat = open(t, server.url);
  const fate = new Reader(chat);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const { reason, wait } = await fate.expect("offline");
    assert.equal(reason, "The server cannot be reached");
    assert.ok(wait <= 200);
  }
  await server.start();
  await fate.expect("online");
});

test("reconnect() does not wait", async (t) => {
  const server = await Server.start(t);
  await server.end("SIGKILL");
  const chat = open(t, server.url, { backoff: { first: 1e9, most: 1e9 } });
  const fate = new Reader(chat);
  await fate.expect("offline");
  await server.start();
  chat.reconnect();
  await fate.expect("online");
});

test("a program ends with its client, though that asks why it was refused", async (t) => {
  const busy = createServer((request, response) => {
    response.writeHead(503, { "Retry-After": "60" });
    if (request.headers.upgrade) response.end();
    else program.stdin.end(() => program.stdout.once("data", () => response.end()));
  });
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  const module = new URL("../../chatserver/web/static/chatserver.js", import.meta.url);
  const code = `
    const { connect } = await import("${module}");
    const chat = connect("http://127.0.0.1:${busy.address().port}/ws");
    process.stdin.resume().once("end", () => {
      chat.close();
      console.log("closed");
    });`;
  const program = spawn(process.execPath, [...process.execArgv, "--input-type=module", "-e", code]);
  t.after(() => program.kill());
  assert.deepEqual(await once(program, "exit", { signal: AbortSignal.timeout(20_000) }), [0, null]);
});

test("a client that needs a token and has none stops", async (t) => {
  const tokens = { late: true, tokens: TOKENS };
  const server = await Server.start(t, { middlewares: [{ auth: tokens }, "size_limit"] });
  const chat = open(t, server.url);
  await assert.rejects(chat.connected(), { name: "ActionError", code: "unauthorized" });
});

test("a taken name stops, and register takes one for good", async (t) => {
  const server = await Server.start(t);
  const alice = open(t, server.url, { username: "alice" });
  await alice.connected();
  const other = open(t, server.url, { username: "ALICE" });
  await assert.rejects(other.connected(), { code: "name_taken" });

  assert.equal(await alice.register(" alicia "), "alicia");
  const fate = new Reader(alice);
  await server.end("SIGKILL");
  await fate.expect("offline");
  await server.start();
  assert.equal((await fate.expect("online")).username, "alicia");
  assert.equal(alice.username, "alicia");
});

test("a name that another tab has changed is not taken back", async (t) => {
  const server = await Server.start(t);
  const storage = new SharedStorage();
  const one = open(t, server.url, { username: "alice", storage });
  const room = new Reader(await one.join("lobby"));
  const other = open(t, server.url, { username: "alicia", storage });
  await other.connected();
  assert.equal(other.user, one.user, "tabs are one guest");
  assert.equal((await room.expect("notification")).event, "join");
  assert.equal((await room.expect("notification")).text, "alice is now alicia");
  assert.equal(one.username, "alicia");
  other.close();
  const fate = new Reader(one);
  await server.end("SIGKILL");
  await fate.expect("offline");
  await server.start();
  assert.equal((await fate.expect("online")).username, "alicia");
});

test("requests have replies, errors have codes, names are the server's", async (t) => {
  const server = await Server.start(t);
  const chat = open(t, server.url, { username: "alice" });
  const room = await chat.join("  Ｌobby ", { last: 5 });
  assert.equal(room.name, "Lobby");
  const sent = await room.publish("hello");
  const { messages, more } = await room.history({ limit: 1 });
  assert.deepEqual([messages[0].offset, messages[0].text, more], [sent.offset, "hello", false]);
  assert.deepEqual(await room.members(), [{ username: "alice", sender: chat.user }]);
  const [present] = await room.presence();
  assert.deepEqual([present.username, present.devices], ["alice", 1]);
  room.typing();
  room.typing();
  const events = new Reader(room);
  assert.equal((await events.expect("typing")).username, "alice");
  await room.publish("hello again");
  room.typing();
  assert.equal((await events.expect("message")).text, "hello again");
  await events.expect("typing");
  await assert.rejects(chat.request("dance"), { code: "unknown_action" });
  await assert.rejects(chat.join("Lobby"), /joined already/);
  await assert.rejects(chat.join(""), { code: "bad_name" });
  assert.throws(() => chatserver.connect("ftp://chat.example/"), TypeError);
});

test("what is exported is what is documented", () => {
  const errors = ["ActionError", "ClosedError", "HandshakeError", "LostError", "OutboxFullError"];
  const exported = [...errors, "Chat", "ChatError", "Room", "cleanName", "connect"].sort();
  assert.deepEqual(Object.keys(chatserver).sort(), exported);
});
