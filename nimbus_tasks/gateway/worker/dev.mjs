/**
 * Runs the Worker locally on Cloudflare's runtime: workerd, through miniflare.
 *
 *   node dev.mjs --port 0 --persist DIR [--worker PATH] [--namespaces NIMBUS_PAGES,NIMBUS_BATCHES] [--kv DIR]
 *
 * --persist is the folder of its data; --kv is another folder for KV. It loads miniflare from the current folder's
 * node_modules, or from the folder NIMBUS_NODE_MODULES.
 * Prints one JSON line {"url"} when it answers. Ends on SIGTERM, on SIGINT, and when its standard input closes.
 * NIMBUS_ADMIN_SECRET and the other NIMBUS_ variables come from the environment, because other users can see arguments.
 */

import { spawn } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));

/** The variables of the environment that the Worker gets. */
const VARIABLES = /^NIMBUS_(ADMIN_SECRET|CONTENT_PROJECT|(CACHE|USAGE)_SECONDS|LIMIT_[A-Z]+)$/;

/** Ends the first process that is started from here, workerd, if this process is killed. */
let guard;
subscribe("child_process", ({ process: child }) => setImmediate(() => (guard ??= guardOver(child.pid))));

/** Until the start, workerd's output is not shown: its message about a port in use is a page long. */
let started = false;

const { values: options } = readOptions();
const { Miniflare } = await load();

if (!/^\d{1,5}$/.test(options.port)) {
  fail(`--port takes a number, 0 for any free one, not ${options.port}.`);
}
const worker = resolve(options.worker);
const persist = resolve(options.persist);
const runtime = new Miniflare({
  rootPath: "/",
  modulesRoot: "/",
  modules: true,
  modulesRules: [{ type: "ESModule", include: ["**/*.js"] }],
  scriptPath: worker,
  compatibilityDate: "2026-04-01",
  bindings: Object.fromEntries(Object.entries(process.env).filter(([name]) => VARIABLES.test(name))),
  kvNamespaces: options.namespaces.split(",").filter(Boolean),
  kvPersist: resolve(options.kv ?? join(persist, "kv")),
  durableObjects: {
    NIMBUS_PROJECT: { className: "Project", useSQLite: true },
    NIMBUS_ACCOUNT: { className: "Account", useSQLite: true },
    NIMBUS_IDENTITY: { className: "Identity", useSQLite: true },
    NIMBUS_USAGE: { className: "Usage", useSQLite: true },
  },
  durableObjectsPersist: join(persist, "do"),
  cf: false,
  host: "127.0.0.1",
  port: Number(options.port),
  handleRuntimeStdio: (_, errors) => errors.on("data", (text) => started && process.stderr.write(text)),
});

let url;
try {
  url = await runtime.ready;
  started = true;
} catch (error) {
  const taken = error.code === "ERR_ADDRESS_IN_USE";
  fail(taken ? `Port ${options.port} is taken.` : `The Worker does not start: ${error.message}`);
}

let ending = false;
async function end() {
  if (!ending) {
    ending = true;
    await runtime.dispose();
    guard.stdin.end("done\n", () => process.exit(0));
  }
}
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.removeAllListeners(signal); // miniflare's own would exit with a failure
  process.on(signal, end);
}
process.stdin.on("end", end).on("error", end).resume();
console.log(JSON.stringify({ url: url.origin }));

function readOptions() {
  try {
    return parseArgs({
      options: {
        port: { type: "string", default: "8787" },
        persist: { type: "string", default: ".nimbus/worker" },
        worker: { type: "string", default: join(HERE, "src", "index.js") },
        namespaces: { type: "string", default: "NIMBUS_KV" },
        kv: { type: "string" },
      },
    });
  } catch (error) {
    return fail(error.message);
  }
}

async function load() {
  for (const folder of [process.cwd(), process.env.NIMBUS_NODE_MODULES].filter(Boolean)) {
    try {
      return createRequire(join(folder, "from.js"))("miniflare");
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") {
        throw error;
      }
    }
  }
  return fail("Cloudflare's local runtime was not found. Install it: npm install --save-dev miniflare@4.20260426.0");
}

/** A shell that waits on a pipe: if this process is killed, the pipe closes, and the shell ends workerd. */
function guardOver(pid) {
  const script = 'trap "" INT TERM; read -r _ || kill -KILL "$0"';
  const shell = spawn("sh", ["-c", script, String(pid)], { stdio: ["pipe", "ignore", "ignore"] });
  shell.on("error", () => console.error("There is no sh here: if this process is killed, end workerd yourself."));
  shell.unref();
  return shell;
}

function fail(message) {
  console.error(message.split("\n")[0]);
  process.exit(2);
}
