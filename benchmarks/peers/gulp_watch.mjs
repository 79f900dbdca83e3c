/**
 * A watch as people write it with gulp: each page that was saved since the last run is extracted (with cheerio) and put
 * through a gateway's classic protocol, with its status, and into the queue.
 *
 *   node gulp_watch.mjs PROJECT_ID DELAY_MS        (NIMBUS_WORKER_URL and NIMBUS_API_KEY say where)
 *
 * DELAY_MS is gulp's own debounce. Prints `ready` once it watches; ends with its standard input.
 */

import { createHash } from "node:crypto";
import { Transform } from "node:stream";
import gulp from "gulp";
import { extract } from "./extracting.mjs";

const [project, delay] = process.argv.slice(2);
const { NIMBUS_WORKER_URL: base, NIMBUS_API_KEY: secret } = process.env;
const PAGES = "dist/**/*.html";
const started = new Date();

function publish() {
  return gulp.src(PAGES, { since: gulp.lastRun(publish) ?? started }).pipe(
    new Transform({
      objectMode: true,
      transform: (file, _encoding, done) => send(file).then(() => done(), done),
    }),
  );
}

async function send(file) {
  const path = `dist/${file.relative}`;
  const id = `page_${createHash("md5")
    .update(project + path)
    .digest("hex")
    .slice(0, 12)}`;
  const uploaded = new Date().toISOString();
  const { path: source_path, ...extraction } = JSON.parse(extract(path, file.contents.toString()));
  await put(`page:${project}:${id}`, { page_id: id, project_id: project, source_path, uploaded, extraction });
  await put(`status:${project}:${id}`, { status: "uploaded", updated: uploaded });
  const kept = await ask("GET", `queue:${project}`);
  const { items } = kept.status === 404 ? { items: [] } : await kept.json();
  await put(`queue:${project}`, { items: [...items.filter((item) => item.page_id !== id), { page_id: id }] });
}

async function put(key, record) {
  const answer = await ask("PUT", key, JSON.stringify({ value: JSON.stringify(record) }));
  await answer.arrayBuffer();
}

async function ask(method, key, body) {
  const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/kv/${encodeURIComponent(key)}`, { method, headers, body });
  if (!answer.ok && !(method === "GET" && answer.status === 404)) {
    throw new Error(`${method} ${key}: ${answer.status}`);
  }
  return answer;
}

gulp.watch(PAGES, { delay: Number(delay) }, publish).on("ready", () => console.log("ready"));
process.stdin.on("end", () => process.exit()).resume();
