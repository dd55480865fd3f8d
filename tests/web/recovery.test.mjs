// Interruptions: what is said meanwhile comes, once and in order, or a gap is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, Reader, Server } from "./harness.mjs";

async function visit(test, server, username, options, join) {
  const chat = open(test, server.url, { username, ...options });
  const room = await chat.join("lobby", join);
  return { chat, room, events: new Reader(room), fate: new Reader(chat) };
}

test("a killed server loses nothing and repeats nothing", async (t) => {
  const server = await Server.start(t);
  const alice = await visit(t, server, "alice");
  const bob = await visit(t, server, "bob");
  await alice.room.publish("before");
  await server.end("SIGKILL");
  await alice.fate.expect("offline");
  const waiting = ["one", "two", "three"].map((text) => alice.room.publish(text));
  assert.deepEqual(
    alice.chat.outbox.map(({ text }) => text),
    ["one", "two", "three"],
  );
  await server.start();
  const offsets = (await Promise.all(waiting)).map(({ offset }) => offset);
  assert.deepEqual(offsets, [2, 3, 4]);
  assert.deepEqual(alice.chat.outbox, []);
  assert.deepEqual(await bob.events.texts(4), ["before", "one", "two", "three"]);
  assert.deepEqual(await alice.events.texts(4), ["before", "one", "two", "three"]);
  assert.equal(alice.room.position.offset, 4);
});

test("a restart is announced, and recovered from", async (t) => {
  const server = await Server.start(t);
  const alice = await visit(t, server, "alice");
  await alice.room.publish("before");
  assert.deepEqual(await alice.events.texts(1), ["before"]);
  await server.end("SIGTERM");
  assert.equal((await alice.fate.expect("offline")).code, 3001);
  await server.start();
  const { missed, members } = await alice.events.expect("recovered");
  assert.deepEqual([missed, members], [0, 1]);
  const { user } = await alice.chat.connected();
  await alice.room.publish("after");
  const message = await alice.events.expect("message");
  assert.deepEqual([message.text, message.sender], ["after", user]);
});

test("what was missed is brought between recovered and what comes live", async (t) => {
  const server = await Server.start(t);
  const bob = await visit(t, server, "bob");
  await bob.room.publish("one");
  const since = { epoch: "", offset: 0 };
  const alice = await visit(t, server, "alice", {}, { since });
  await bob.room.publish("two");
  assert.equal((await alice.events.expect("joined")).offset, 1);
  assert.equal((await alice.events.expect("recovered")).missed, 1);
  assert.deepEqual(await alice.events.texts(2), ["one", "two"]);
});

test("more than a join brings is a gap, and read by pages where that is wanted", async (t) => {
  const server = await Server.start(t, { limits: { recovery_limit: 5 } });
  const bob = await visit(t, server, "bob");
  const { epoch } = await bob.room.publish("0");
  for (let number = 1; number < 20; number += 1) await bob.room.publish(String(number));
  const since = { epoch, offset: 2 };

  const alice = await visit(t, server, "alice", {}, { since });
  const { reason, seen, resumes } = await alice.events.expect("gap");
  assert.deepEqual([reason, seen.offset, resumes.offset], ["long", 2, 20]);

  const carol = await visit(t, server, "carol", { maxQueue: 6 }, { since, catchUp: true });
  await bob.room.publish("20");
  const expected = Array.from({ length: 19 }, (_, index) => String(index + 2));
  assert.deepEqual(await carol.events.texts(19), expected);
});

test("a history that was begun anew is a gap", async (t) => {
  const server = await Server.start(t);
  const alice = await visit(t, server, "alice", {}, { since: { epoch: "elsewhere", offset: 7 } });
  await alice.room.publish("hello");
  const { reason, seen } = await alice.events.expect("gap");
  assert.deepEqual([reason, seen.epoch], ["reset", "elsewhere"]);
  assert.deepEqual(await alice.events.texts(1), ["hello"]);
});

test("a room without a history tells after each interruption", async (t) => {
  const server = await Server.start(t, { broker: "memory" });
  const alice = await visit(t, server, "alice");
  await server.end("SIGKILL");
  await server.start();
  const { reason, seen } = await alice.events.expect("gap");
  assert.deepEqual([reason, seen], ["no_history", null]);
  assert.equal((await alice.room.publish("hello")).offset, undefined);
});

test("who reads slowly gets all of it, when there is time", async (t) => {
  const server = await Server.start(t);
  const alice = await visit(t, server, "alice", { maxQueue: 4 });
  const bob = await visit(t, server, "bob");
  const texts = Array.from({ length: 30 }, (_, index) => String(index));
  await Promise.all(texts.map((text) => bob.room.publish(text)));
  assert.deepEqual(await alice.events.texts(30), texts);
});

test("leaving ends the iteration, and what is missed then is not asked for", async (t) => {
  const server = await Server.start(t);
  const alice = await visit(t, server, "alice");
  await alice.room.leave();
  await assert.rejects(alice.events.expect("message"), /the end came/);
  const again = await alice.chat.join("lobby", { last: 1 });
  await again.publish("back");
  assert.deepEqual(await new Reader(again).texts(1), ["back"]);
});

test("a room that does not let us in says so once", async (t) => {
  const rooms = [{ match: "staff", join: ["nobody"] }];
  const server = await Server.start(t, { rooms });
  const chat = open(t, server.url, { username: "alice" });
  const refused = { name: "ActionError", code: "forbidden" };
  await assert.rejects(chat.join("staff"), refused);
  await assert.rejects(chat.publish("staff", "hello"), { code: "not_joined" });
  assert.equal((await chat.join("lobby")).name, "lobby");
});
