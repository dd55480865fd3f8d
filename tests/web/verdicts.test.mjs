// What the end of a connection means to the client, and how long it waits.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { open, Reader, rows, serveEnds, Server } from "./harness.mjs";

/** Return `offline` where the client comes back after such an end, else the error it stops with. */
async function fate(test, url) {
  const chat = open(test, url);
  try {
    return await new Reader(chat).expect("offline");
  } catch (error) {
    return error;
  } finally {
    chat.close();
  }
}

/** Return the first and the last number of each range in a text. */
function ends(text) {
  const found = text.matchAll(/(\d+)(?:(?:-| to )(\d+))?/g);
  return [...found].flatMap(([, first, last = first]) => [Number(first), Number(last)]);
}

test("each close code of the protocol is judged as the docs say", async (t) => {
  const url = await serveEnds(t);
  const codes = await rows("protocol.md", "code", "name", "when", "connect again");
  assert.ok(codes.length > 15);
  for (const [code, name, , again] of codes) {
    const { action, code: told } = await fate(t, url + code);
    assert.equal(action === "offline", again.startsWith("yes"), `${code} ${name}`);
    assert.equal(told, Number(code));
  }
});

test("close codes are judged by their ranges", async (t) => {
  const url = await serveEnds(t);
  const [[again], [stop]] = await rows("javascript.md", "what happened");
  for (const code of ends(again)) {
    const { action, code: told } = await fate(t, url + code);
    assert.deepEqual([action, told], ["offline", code]);
  }
  for (const code of ends(stop)) {
    const { name, code: told } = await fate(t, url + code);
    assert.deepEqual([name, told], ["ClosedError", code]);
  }
});

test("who was too fast pauses", async (t) => {
  assert.ok((await fate(t, `${await serveEnds(t)}3013`)).wait >= 5_000);
});

test("each status is judged as the docs say", async (t) => {
  const url = await serveEnds(t);
  const [, , [refused], [busy], [unsaid], [other]] = await rows("javascript.md", "what happened");
  for (const status of [...ends(refused), ...ends(other), 400, 405, 424, 427, 499]) {
    const { name, status: told } = await fate(t, url + status);
    assert.deepEqual([name, told], ["HandshakeError", status]);
  }
  for (const status of ends(busy)) {
    assert.equal((await fate(t, url + status)).wait, 7_000, `${status}`);
  }
  for (const status of ends(unsaid)) {
    const { reason } = await fate(t, url + status);
    assert.equal(reason, "The connection could not be made", `${status}`);
  }
});

test("a chat that is gone for a while is waited for, until the client is refused", async (t) => {
  const server = await Server.start(t);
  const chat = open(t, server.url);
  const events = new Reader(chat);
  await events.expect("online");
  const proxy = createServer((_, response) => response.writeHead(status).end());
  t.after(() => proxy.close());
  let status = 404;
  await server.end("SIGKILL");
  await new Promise((resolve) => proxy.listen(new URL(server.url).port, "127.0.0.1", resolve));
  for (;;) {
    const { reason } = await events.expect("offline");
    if (reason === "There is no chat at this address (HTTP 404)") break;
  }
  status = 403;
  await assert.rejects(events.expect("online"), { name: "HandshakeError", status });
});

/** Return how long a client waits, so many times, whose connections all end in this way. */
async function waits(test, end, count, backoff) {
  const chat = open(test, `${await serveEnds(test)}${end}`, { backoff });
  const events = new Reader(chat);
  const found = [];
  while (found.length < count) found.push((await events.expect("offline")).wait);
  chat.close();
  return found;
}

test("waits are drawn from nothing up to bounds that double", async (t) => {
  const draws = [0, 0.5, 0.25, 0.75, 0.5];
  t.mock.method(Math, "random", () => draws.shift() ?? 0);
  assert.deepEqual(await waits(t, 426, 5, { first: 40, most: 200 }), [0, 40, 40, 150, 100]);
});

test("chance is used, and stays below the bound", async (t) => {
  const found = await waits(t, 426, 40, { first: 20, most: 20 });
  assert.ok(found.every((wait) => wait >= 0 && wait < 20));
  assert.ok(Math.min(...found) < 10 && Math.max(...found) > 10);
});

test("a connection that held starts the waits anew", async (t) => {
  t.mock.method(Math, "random", () => 0.5);
  const backoff = { first: 20, most: 80 };
  assert.deepEqual(await waits(t, 1012, 3, { ...backoff, steady: 0.001 }), [10, 10, 10]);
  assert.deepEqual(await waits(t, 1012, 3, { ...backoff, steady: 1e9 }), [10, 20, 40]);
  assert.deepEqual(await waits(t, 426, 3, { ...backoff, steady: 0.001 }), [10, 20, 40]);
});
