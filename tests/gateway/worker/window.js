/**
 * The Worker with a window onto what is behind it, for tests only: KV as other programs see it, faults of KV, and time.
 *
 *   GET, PUT /_kv/{binding}/{key}   KV itself; an answer carries its metadata in a header
 *   PUT /_faults  [{do, key, fail}] from now on: `do` (put, get, list) of keys that begin with `key` throws `fail`;
 *                                   a get finds nothing where it is "lag", a put takes its time where it is "slow"
 *   GET /_puts?key=                 when each put of a key was tried, in ms
 *   PUT /_clock   milliseconds      how far the clock goes ahead
 */

import app, { Account as A, Identity as I, Project as P } from "../../../nimbus_tasks/gateway/worker/src/index.js";

const SLOW_MS = 500;

let faults = [];
const puts = new Map();

const now = Date.now;
let ahead = 0;
Date.now = () => now() + ahead;

export class Project extends P {
  constructor(ctx, env) {
    super(ctx, behindGlass(env));
  }
}
export class Account extends A {
  constructor(ctx, env) {
    super(ctx, behindGlass(env));
  }
}
export class Identity extends I {
  constructor(ctx, env) {
    super(ctx, behindGlass(env));
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, first, binding, key] = url.pathname.split("/").map(decodeURIComponent);
    switch (first) {
      case "_kv":
        return request.method === "PUT" ? stored(env[binding], key, request) : shown(env[binding], key);
      case "_faults":
        faults = await request.json();
        return new Response("");
      case "_puts":
        return Response.json(puts.get(url.searchParams.get("key")) ?? []);
      case "_clock":
        ahead = Number(await request.text());
        return new Response("");
      default:
        return app.fetch(request, behindGlass(env));
    }
  },
};

async function stored(namespace, key, request) {
  const metadata = request.headers.get("X-Metadata");
  await namespace.put(key, await request.arrayBuffer(), metadata ? { metadata: JSON.parse(metadata) } : {});
  return new Response("");
}

async function shown(namespace, key) {
  const { value, metadata } = await namespace.getWithMetadata(key, "arrayBuffer");
  const headers = { "X-Metadata": JSON.stringify(metadata) };
  return value === null ? new Response("", { status: 404 }) : new Response(value, { headers });
}

function behindGlass(env) {
  const names = Object.keys(env).filter((name) => typeof env[name] === "object" && "getWithMetadata" in env[name]);
  return { ...env, ...Object.fromEntries(names.map((name) => [name, faulty(env[name])])) };
}

function faulty(namespace) {
  return {
    async get(key, options) {
      return lags("get", key) ? null : namespace.get(key, options);
    },
    async getWithMetadata(key, options) {
      return lags("get", key) ? { value: null, metadata: null } : namespace.getWithMetadata(key, options);
    },
    async put(key, value, options) {
      puts.set(key, [...(puts.get(key) ?? []), now()]);
      if (lags("put", key)) {
        await scheduler.wait(SLOW_MS);
      }
      return namespace.put(key, value, options);
    },
    async list(options) {
      lags("list", options.prefix ?? "");
      return namespace.list(options);
    },
  };
}

function lags(what, keys) {
  const fault = faults.find((rule) => rule.do === what && [keys].flat().some((key) => key.startsWith(rule.key)));
  if (fault && !["lag", "slow"].includes(fault.fail)) {
    throw new Error(fault.fail);
  }
  return fault !== undefined;
}
