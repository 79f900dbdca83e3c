/** The states of files and the pace of an upload: values only, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileKey, Items, phasesOf } from "../../nimbus_tasks/server/web/js/upload/items.js";
import {
  afterFailure,
  afterSuccess,
  afterTooMany,
  newPace,
  retryDelay,
  waitOf,
} from "../../nimbus_tasks/server/web/js/upload/pace.js";

const file = (path, size = 10, modified = 1) => ({ path, name: path, size, type: "image/png", modified });

/** @param {Items} items counted anew, file by file */
function recount(items) {
  const counts = Object.fromEntries(Object.keys(items.counts).map((state) => [state, 0]));
  for (const item of items.all) counts[item.state] += 1;
  return counts;
}

test("counts and bytes are those of the files after any changes", () => {
  const states = Object.keys(new Items().counts);
  let seed = 7;
  const random = (most) => (seed = (seed * 48271) % 2147483647) % most;
  const items = new Items();
  for (let step = 0; step < 3000; step += 1) {
    const item = items.all[random(items.all.length || 1)];
    const what = random(10);
    if (!item || what < 3) items.add(file(`${step}.png`, 1 + random(100)));
    else if (what === 3) items.remove([item]);
    else if (what === 4) items.progress(item, random(200));
    else items.change(item, states[random(states.length)]);
    assert.deepEqual(items.counts, recount(items));
    assert.equal(items.bytes, items.all.reduce((sum, each) => sum + (each.state === "cancelled" ? 0 : each.size), 0)); // prettier-ignore
    assert.equal(items.bytesSent, items.all.reduce((sum, each) => sum + each.sent, 0)); // prettier-ignore
    for (const state of states) assert.equal(items.in(state).length, items.counts[state]);
  }
});

test("the same file is added once, and found again after a reload", () => {
  const items = new Items();
  const first = items.add({ ...file("a.png"), state: "missing", sha256: "ab" });
  assert.equal(items.add(file("a.png")), null);
  assert.equal(first.state, "missing");
  items.add({ ...file("a.png"), file: new Blob() });
  assert.equal(first.state, "hashed");
  assert.notEqual(items.add(file("a.png", 11)), null);
  assert.equal(fileKey(file("a.png")), fileKey({ ...file("a.png"), name: "other" }));
});

test("equal bytes are sent once, unless the first of them has failed", () => {
  const items = new Items();
  const [first, second] = [items.add(file("a.png")), items.add(file("b.png"))];
  for (const item of [first, second]) items.change(item, "hashed", { sha256: "ab" });
  assert.equal(items.twinOf(first), null);
  assert.equal(items.twinOf(second), first);
  items.change(first, "failed");
  assert.equal(items.twinOf(second), null);
});

test("phases count cancelled files in none, and one whose job has failed as stored", () => {
  const items = new Items();
  const states = ["uploaded", "ready", "duplicate", "jobFailed", "cancelled"];
  for (const state of states) items.change(items.add(file(state)), state);
  assert.deepEqual(phasesOf(items), { total: 4, stored: 4, searchable: 2 });
});

test("concurrency grows one by one to its limit, and is halved by a failure", () => {
  let pace = newPace(2, 8);
  for (let good = 0; good < 1000; good += 1) pace = afterSuccess(pace);
  assert.equal(pace.slots, 8);
  assert.deepEqual([4, 2, 1, 1], [1, 2, 3, 4].map(() => (pace = afterFailure(pace)).slots)); // prettier-ignore
});

test("a refusal for too many requests stops everything for the time that the server says", () => {
  const pace = afterTooMany(newPace(2, 3), 1000, 12);
  assert.equal(waitOf(pace, 1000), 12_000);
  assert.equal(waitOf(afterTooMany(pace, 2000, 1), 2000), 11_000);
  assert.equal(waitOf(pace, 13_000), 0);
});

test("retries wait 1, 2, 4 seconds and so on, at most a minute, spread by half", () => {
  assert.deepEqual([1, 2, 3, 20].map((attempt) => retryDelay(attempt, 1)), [1000, 2000, 4000, 60_000]); // prettier-ignore
  assert.equal(retryDelay(1, 0), 500);
});
