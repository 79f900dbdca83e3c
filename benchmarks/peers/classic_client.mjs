/**
 * What the classic client does, in a process of its own: for each page PUT its record, PUT its status, GET the queue
 * and PUT it back with one more page. So many pages at a time; nothing keeps one from overwriting another's queue.
 *
 *   node classic_client.mjs PAIRS COUNT SLOTS DELAY_MS        (NIMBUS_WORKER_URL and NIMBUS_API_KEY say where)
 *
 * PAIRS is a JSON file of page records and statuses, ready to send; COUNT pages of them are. DELAY_MS is waited between
 * the requests of a slot. Prints one JSON line: requests, and the bytes of their bodies.
 */

import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

const [file, count, slots, delay] = process.argv.slice(2);
const { NIMBUS_WORKER_URL: base, NIMBUS_API_KEY: secret } = process.env;
const HEADERS = { authorization: `Bearer ${secret}`, "content-type": "application/json" };
const told = { requests: 0, sent: 0 };

const pairs = JSON.parse(await readFile(file, "utf8"));
const statuses = new Map(pairs.filter(isA("status")).map((pair) => [pair.key, pair]));
const pages = pairs.filter(isA("page")).slice(0, Number(count)).values();

await Promise.all(Array.from({ length: Number(slots) }, slot));
console.log(JSON.stringify(told));

async function slot() {
  for (const page of pages) {
    const [, project, id] = page.key.split(":");
    const queue = `queue:${project}`;
    await put(page);
    await put(statuses.get(`status:${project}:${id}`));
    const kept = await send("GET", queue);
    const { items } = kept.status === 404 ? { items: [] } : await kept.json();
    const { batch_id } = JSON.parse(page.value);
    items.push({ page_id: id, batch_id, priority: 5, queued_at: new Date().toISOString(), attempts: 0 });
    await put({ key: queue, value: JSON.stringify({ items }) });
  }
}

async function put({ key, value, metadata }) {
  await send("PUT", key, JSON.stringify({ value, options: { metadata } }));
}

async function send(method, key, body) {
  told.requests += 1;
  told.sent += body ? Buffer.byteLength(body) : 0;
  const answer = await fetch(`${base}/kv/${encodeURIComponent(key)}`, { method, headers: HEADERS, body });
  if (!answer.ok && !(method === "GET" && answer.status === 404)) {
    throw new Error(`${method} ${key}: ${answer.status}`);
  }
  if (method === "PUT" || answer.status === 404) {
    await answer.arrayBuffer(); // else the connection is not used again
  }
  if (Number(delay)) {
    await pause(Number(delay));
  }
  return answer;
}

function isA(kind) {
  return ({ key }) => key.startsWith(`${kind}:`);
}
