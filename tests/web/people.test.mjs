// Who is in a room, by the server's list and by its events, as the page follows them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { People } from "../../chatserver/web/static/page/people.js";

const ALICE = { sender: "a", username: "alice", devices: 1 };

test("who comes back under another name is shown by it", () => {
  const people = new People();
  people.replace([ALICE, { sender: "b", username: "bob", devices: 1 }], { told: true });
  people.take({ event: "leave", sender: "b", username: "bob" });
  assert.equal(people.present, 1);
  people.take({ event: "join", sender: "b", username: "robert" });
  assert.deepEqual(people.list, [ALICE, { sender: "b", username: "robert", devices: 1 }]);
  people.take({ event: "rename", sender: "a", username: "alicia" });
  assert.equal(people.list[0].username, "alicia");
});

test("who flaps is there as long as the server does not say otherwise", () => {
  const people = new People();
  people.replace([ALICE], { told: true });
  for (const state of ["online", "offline", "online"]) {
    people.take({ state, sender: "b", username: "bob" });
    assert.equal(people.present, state === "online" ? 2 : 1);
  }
  people.take({ event: "leave", sender: "b", username: "bob" });
  assert.deepEqual(people.list.map(({ devices }) => devices), [1, 0]);
});

test("without presence, who leaves is gone", () => {
  const people = new People();
  people.replace([{ sender: "b", username: "bob" }, { sender: "b", username: "bob" }], { told: false });
  for (const left of [1, 0]) {
    people.take({ event: "leave", sender: "b", username: "bob" });
    assert.equal(people.list.length, left);
  }
});
