/**
 * The Worker with a window onto what is behind it, for tests only: KV as other programs see it, faults of KV, and time.
 *
 *   GET, PUT /_kv/{binding}/{key}   KV itself; its metadata and expiration are in headers
 *   PUT /_faults  [{do, key, fail}] from now on: `do` (put, get, list) of keys that begin with `key` throws `fail`;
 *                                   a get finds nothing where it is "lag", a put takes its time where it is "slow"
 *   X-Without: {binding}            any request, as if the Worker's configuration had no such binding
 *   GET /_puts?key=                 when each put of a key was tried, in ms
 *   GET /_counted?key=              how many requests of an API key reached its object, by the key of its record
 *   PUT /_clock   milliseconds      how far the clock goes ahead
 */

import app, {
  Account as A,
  Identity as I,
  Project as P,
  Usage as U,
} from "../../../nimbus_tasks/gateway/worker/src/index.js";

const SLOW_MS = 500;

let faults = [];
const puts = new Map();
const counted = new Map();

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
export class Usage extends U {
  constructor(ctx, env) {
    super(ctx, behindGlass(env));
    // Alarms come by the machine's clock; workerd loses some that are set for a time that has passed.
    const { storage } = ctx;
    const [get, set] = [storage.getAlarm.bind(storage), storage.setAlarm.bind(storage)];
    storage.getAlarm = async () => ((at) => (at === null ? null : at + ahead))(await get());
    storage.setAlarm = (at) => set(at - ahead);
  }
  async count(store, key, last, requests) {
    await super.count(store, key, last, requests);
    counted.set(key, (counted.get(key) ?? 0) + requests);
  }
}

export default {
  async fetch(request, env, context) {
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
      case "_counted":
        return Response.json(counted.get(url.searchParams.get("key")) ?? 0);
      case "_clock":
        ahead = Number(await request.text());
        return new Response("");
      default:
        return app.fetch(request, { ...behindGlass(env), ...without(request) }, context);
    }
  },
};

async function stored(namespace, key, request) {
  const metadata = request.headers.get("X-Metadata");
  const expiration = Number(request.headers.get("X-Expiration"));
  const options = { ...(metadata && { metadata: JSON.parse(metadata) }), ...(expiration && { expiration }) };
  await namespace.put(key, await request.arrayBuffer(), options);
  return new Response("");
}

async function shown(namespace, key) {
  const { value, metadata } = await namespace.getWithMetadata(key, "arrayBuffer");
  const { keys } = await namespace.list({ prefix: key, limit: 1 });
  const headers = { "X-Metadata": JSON.stringify(metadata), "X-Expiration": keys[0]?.expiration ?? "" };
  return value === null ? new Response("", { status: 404 }) : new Response(value, { headers });
}

/** A binding that an older configuration does not have. */
const without = (request) => ({ [request.headers.get("X-Without") ?? ""]: undefined });

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
