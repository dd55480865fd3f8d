// Changing what was said, finding it, reading it, and talking in twos.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, Reader, Server } from "./harness.mjs";

test("messages are changed, and everybody hears of it", async (t) => {
  const server = await Server.start(t);
  const alice = open(t, server.url, { username: "alice" });
  const bob = open(t, server.url, { username: "bob" });
  const room = await alice.join("lobby");
  const events = new Reader(await bob.join("lobby"));
  await room.publish("helo");
  await room.edit(1, "hello");
  const edit = await events.expect("edit");
  assert.deepEqual([edit.target, edit.text], [1, "hello"]);
  await room.react(1, "👍");
  await room.react(1, "👎");
  await room.react(1, "👎", { remove: true });
  assert.equal((await events.expect("reaction")).emoji, "👍");
  const [message] = (await room.history()).messages;
  assert.deepEqual([message.text, Object.keys(message.reactions)], ["hello", ["👍"]]);
  await assert.rejects(room.pin(1), { code: "forbidden" });
  const { epoch } = await room.remove(1);
  assert.equal((await events.expect("delete")).target, 1);

  const carol = open(t, server.url, { username: "carol" });
  const missed = new Reader(await carol.join("lobby", { since: { epoch, offset: 0 } }));
  const { offset, room: where } = await missed.expect("erased");
  assert.deepEqual([offset, where], [1, "lobby"]);
});

test("all pins are read, and all who have reacted", async (t) => {
  const rooms = [{ match: "*", moderate: "everyone" }];
  const server = await Server.start(t, { rooms, limits: { max_frame_out: 4096 } });
  const alice = open(t, server.url, { username: "alice" });
  const room = await alice.join("lobby");
  for (const text of ["one", "two", "three"]) await room.publish(text);
  await room.pin(1);
  await room.pin(3);
  const newest = await room.history({ pinned: true, limit: 1 });
  assert.deepEqual([newest.messages[0].text, newest.more], ["three", true]);
  const rest = await alice.history("lobby", { pinned: true, before: newest.next });
  assert.deepEqual([rest.messages.map(({ text }) => text), rest.more], [["one"], false]);

  const emojis = Array.from({ length: 40 }, (_, number) => `reaction ${number}`);
  await Promise.all(emojis.map((emoji) => room.react(2, emoji)));
  const reactions = await room.reactions(2);
  assert.deepEqual(
    reactions,
    emojis.map((emoji) => ({ emoji, sender: alice.user })),
  );
  await assert.rejects(room.reactions(50), { code: "not_found" });
});

test("what was said is found, and counted until it is read", async (t) => {
  const server = await Server.start(t);
  const alice = open(t, server.url, { username: "alice" });
  const room = await alice.join("lobby");
  const bob = open(t, server.url, { username: "bob" });
  const theirs = await bob.join("lobby");
  await room.publish("tea is ready");
  await room.publish("coffee, too");
  const { results } = await theirs.search("tea");
  assert.equal(results.length, 1);
  assert.equal(results[0].text, "tea is ready");
  assert.equal((await bob.rooms())[0].unread, 2);
  await theirs.read(1);
  assert.equal((await bob.rooms())[0].unread, 1);
});

test("two users talk, and their room is followed like any other", async (t) => {
  const server = await Server.start(t);
  const alice = open(t, server.url, { username: "alice" });
  const bob = open(t, server.url, { username: "bob" });
  await alice.connected();
  const fate = new Reader(bob);
  const { user } = await bob.connected();
  await alice.direct(user, "psst");
  const { room: name, text } = await fate.expect("message");
  assert.equal(text, "psst");
  const room = await bob.join(name, { last: 5 });
  const events = new Reader(room);
  await server.end("SIGKILL");
  const waiting = alice.direct(user, "are you there?");
  await server.start();
  await waiting;
  await room.publish("yes");
  assert.deepEqual(await events.texts(3), ["psst", "are you there?", "yes"]);
});
