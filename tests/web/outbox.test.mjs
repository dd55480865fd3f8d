// The outbox: order, refusals, and what becomes of it when its tab goes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, Reader, Server, SharedStorage } from "./harness.mjs";

test("what is refused for now is sent again in order", async (t) => {
  const limits = { connection: { rate: 20, burst: 10 } };
  const server = await Server.start(t, { middlewares: [{ rate_limit: limits }, "size_limit"] });
  const chat = open(t, server.url, { username: "alice" });
  const room = await chat.join("lobby");
  const texts = Array.from({ length: 20 }, (_, index) => String(index));
  const sent = await Promise.all(texts.map((text) => room.publish(text)));
  assert.deepEqual(
    sent.map(({ offset }) => offset),
    texts.map((_, index) => index + 1),
  );
  assert.deepEqual(await new Reader(room).texts(20), texts);
});

test("a rate that was refused once is kept below", async (t) => {
  const { WebSocket } = globalThis;
  let refused = 0;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", ({ data }) => {
        if (JSON.parse(data).code === "rate_limited") refused += 1;
      });
    }
  };
  t.after(() => Object.assign(globalThis, { WebSocket }));
  const limits = { connection: { rate: 20, burst: 10 } };
  const server = await Server.start(t, { middlewares: [{ rate_limit: limits }, "size_limit"] });
  const chat = open(t, server.url, { username: "alice" });
  const room = await chat.join("lobby");
  const say = () => Promise.all(Array.from({ length: 15 }, (_, each) => room.publish(`${each}`)));
  await say();
  assert.ok(refused > 0);
  refused = 0;
  await say();
  // Each refusal halves the pace: what a busy machine delays and then delivers together is few.
  assert.ok(refused <= 3, `${refused} refusals`);
});

// Answer the first message in the server's stead, and all within so many ms of it: they came too
// fast. Return how many these are.
function refuse(test, wait, within = 0) {
  const { WebSocket } = globalThis;
  const refused = { count: 0 };
  let end;
  globalThis.WebSocket = class extends WebSocket {
    send(data) {
      const { action, id } = JSON.parse(data);
      if (action !== "message" || Date.now() >= end) return super.send(data);
      end ??= Date.now() + within;
      refused.count += 1;
      const refusal = { action: "error", id, code: "rate_limited", retry_after: wait };
      setTimeout(() => this.onmessage({ data: JSON.stringify(refusal) }), 0);
    }
  };
  test.after(() => Object.assign(globalThis, { WebSocket }));
  return refused;
}

// On a busy machine time passes between any two looks at the clock.
function passTime(test, each) {
  const { now } = performance;
  let looks = 0;
  performance.now = () => now.call(performance) + each * (looks += 1);
  test.after(() => Object.assign(performance, { now }));
}

test("a wait that ends while it is looked at is over", { timeout: 15_000 }, async (t) => {
  refuse(t, 0.03);
  const server = await Server.start(t);
  const chat = open(t, server.url, { username: "alice" });
  const room = await chat.join("lobby");
  passTime(t, 20);
  assert.equal((await room.publish("1")).offset, 1);
});

for (const wait of [-5, "soon"]) {
  test(`a refusal that says to wait ${wait} leads to no rush`, async (t) => {
    const refused = refuse(t, wait, 500);
    const server = await Server.start(t);
    const chat = open(t, server.url, { username: "alice" });
    const room = await chat.join("lobby");
    await Promise.all(["1", "2", "3", "4"].map((text) => room.publish(text)));
    assert.ok(refused.count <= 4, `${refused.count} refusals`);
  });
}

test("a wait of many years is no timer that overflows", { timeout: 60_000 }, async (t) => {
  const { setTimeout } = globalThis;
  let onLong;
  const long = new Promise((resolve) => (onLong = resolve));
  globalThis.setTimeout = (call, delay) => {
    if (delay >= 3_600_000) onLong(delay);
    return setTimeout(call, delay);
  };
  t.after(() => Object.assign(globalThis, { setTimeout }));
  refuse(t, 1e9);
  const server = await Server.start(t);
  const chat = open(t, server.url, { username: "alice" });
  const room = await chat.join("lobby");
  room.publish("1").catch(() => {});
  assert.ok((await long) < 2 ** 31);
});

test("what is refused for good is told, and what is behind it goes on", async (t) => {
  const server = await Server.start(t);
  const chat = open(t, server.url, { username: "alice", maxOutbox: 3 });
  const room = await chat.join("lobby");
  const large = room.publish("x".repeat(70_000));
  const small = room.publish("y", { cid: "c-1" });
  await assert.rejects(large, { code: "too_large" });
  const { cid, epoch, offset } = await small;
  assert.deepEqual([cid, offset], ["c-1", 1]);
  const again = await room.publish("y", { cid: "c-1" });
  assert.deepEqual([again.epoch, again.offset, again.duplicate], [epoch, 1, true]);
  await assert.rejects(room.publish("z", { cid: "c-1" }), { code: "conflict" });

  await server.end("SIGKILL");
  const waiting = ["1", "2", "3"].map((text) => room.publish(text, { cid: `w-${text}` }));
  await assert.rejects(room.publish("4"), { name: "OutboxFullError" });
  chat.retract("w-2");
  await assert.rejects(waiting[1], { name: "LostError" });
  await server.start();
  assert.equal((await waiting[2]).offset, 3);
  await waiting[0];
});

test("a message that is lost with its tab is sent by the next one", async (t) => {
  const server = await Server.start(t);
  const storage = new SharedStorage();
  const before = open(t, server.url, { username: "alice", storage });
  const room = await before.join("lobby", { last: 1 });
  const { user } = await before.connected();
  await server.end("SIGKILL");
  const lost = ["one", "two"].map((text) => room.publish(text));
  before.close();
  for (const each of lost) await assert.rejects(each, { name: "ClosedError", code: 1000 });

  const after = open(t, server.url, { username: "alice", storage });
  const events = new Reader(after);
  const adopted = [await events.expect("adopted"), await events.expect("adopted")];
  assert.deepEqual(
    adopted.map(({ kind, room, text }) => [kind, room, text]),
    [
      ["message", "lobby", "one"],
      ["message", "lobby", "two"],
    ],
  );
  await server.start();
  assert.equal((await after.connected()).user, user);
  assert.equal(after.outbox.length, 2, "nobody has joined the room yet");
  const again = await after.join("lobby");
  assert.deepEqual(
    (await Promise.all(adopted.map(({ outcome }) => outcome))).map(({ offset }) => offset),
    [1, 2],
  );
  assert.deepEqual(await new Reader(again).texts(2), ["one", "two"]);
  assert.deepEqual([...storage.items.keys()].filter((key) => key.includes("outbox")), []);
});

test("the outbox of a tab that lives is its own", async (t) => {
  const server = await Server.start(t);
  const storage = new SharedStorage();
  const first = open(t, server.url, { username: "alice", storage });
  const room = await first.join("lobby");
  await server.end("SIGKILL");
  const waiting = room.publish("mine");
  const second = open(t, server.url, { username: "alice", storage });
  await server.start();
  await second.join("lobby");
  assert.equal((await waiting).duplicate, undefined);
  assert.deepEqual(second.outbox, []);
  assert.equal(first.user, second.user, "tabs are one guest");
});

test("the outbox of a tab that crashed is taken over once its lease is over", async (t) => {
  const server = await Server.start(t);
  const storage = new SharedStorage();
  const crashed = open(t, server.url, { username: "alice", storage });
  const room = await crashed.join("lobby");
  await server.end("SIGKILL");
  room.publish("last words").catch(() => {});
  const copy = new SharedStorage();
  for (const [key, value] of storage.items) copy.setItem(key, value);
  const lease = [...copy.items.keys()].find((key) => key.includes(":lease:"));
  copy.setItem(lease, String(Date.now() - 91_000));
  crashed.close();
  const heir = open(t, server.url, { username: "alice", storage: copy });
  assert.equal((await new Reader(heir).expect("adopted")).text, "last words");
});

test("another user's messages are not sent", async (t) => {
  const tokens = ["alice", "bob"].map((user) => ({ token: `${user}-token`, user, name: user }));
  const server = await Server.start(t, { middlewares: [{ auth: { tokens } }, "size_limit"] });
  const storage = new SharedStorage();
  const alice = open(t, server.url, { token: "alice-token", storage });
  const room = await alice.join("lobby");
  await server.end("SIGKILL");
  const waiting = room.publish("from alice");
  alice.close();
  await assert.rejects(waiting, { name: "ClosedError" });
  await server.start();
  const bob = open(t, server.url, { token: "bob-token", storage });
  await bob.join("lobby");
  await bob.publish("lobby", "from bob");
  assert.deepEqual(bob.outbox, []);
  const back = open(t, server.url, { token: async () => "alice-token", storage });
  const { outcome } = await new Reader(back).expect("adopted");
  await back.join("lobby");
  assert.equal((await outcome).offset, 2);
});

test("a room goes on where this browser has come to", async (t) => {
  const server = await Server.start(t);
  const storage = new SharedStorage();
  const before = open(t, server.url, { username: "alice", storage });
  const room = await before.join("lobby", { resume: true });
  await room.publish("seen");
  assert.deepEqual(await new Reader(room).texts(1), ["seen"]);
  before.close();
  const bob = open(t, server.url, { username: "bob" });
  await bob.join("lobby");
  await bob.publish("lobby", "missed");
  const after = open(t, server.url, { username: "alice", storage });
  const again = new Reader(await after.join("lobby", { resume: true, last: 50 }));
  assert.equal((await again.expect("recovered")).missed, 1);
  assert.deepEqual(await again.texts(1), ["missed"]);
});
