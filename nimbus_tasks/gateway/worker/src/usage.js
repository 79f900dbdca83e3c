/**
 * An API key's Durable Object: it counts the key's requests, and is the only writer of its `apikey:` record here. It adds
 * `last_used` and `usage` to the record at most once a minute, and changes nothing else.
 *
 * KV has no compare-and-set and may show an old value for over a minute, so a record is only rewritten if KV shows what
 * this object knows of it: otherwise a revoked key could come back.
 */

import { DurableObject } from "cloudflare:workers";

import { storeId } from "./identity.js";
import { inParallel, namespaceOf, optionsOf } from "./kv.js";
import { parsed } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/**
 * What the object stores.
 * @typedef {object} State
 * @property {string} store the id of the store that the key is for
 * @property {string} key of the record
 * @property {number} last when the key was last used, in ms since 1970
 * @property {number} today requests of that day in UTC
 * @property {number} total requests
 * @property {boolean} pending whether the record lacks some of them
 * @property {boolean} adopted whether the counts include those that the record had before
 * @property {string} rest the record without `last_used` and `usage`, as last put here or found; "" if unknown
 * @property {number} restAt when it was put here, in ms since 1970; 0 if it was found
 * @property {number} written when it was last written, in ms since 1970
 */

/** How long an isolate collects the requests of a key: they take one call to its object. */
const COLLECT_MS = 1000;

/** KV may show the value before a put for over a minute. After this time, another value is another program's. */
const LAG_MS = 300_000;

const SECONDS = 60;

/** A record that expires earlier cannot be written: KV takes no expiration within a minute. */
const LEAST_LIFE_MS = 90_000;

/** @type {Map<string, {key: string, last: number, requests: number}>} "{day} {key}" -> what is not counted yet */
const collected = new Map();

/** When the last collection began, in ms since 1970. If it was lost with its request, the next one begins later. */
let collecting = 0;

/**
 * Return the object of the key, undefined in a Worker whose configuration has none.
 * @param {Env} env
 * @param {string} store
 * @param {string} key of its record
 */
export function usageObject(env, store, key) {
  return env.NIMBUS_USAGE?.get(env.NIMBUS_USAGE.idFromName(`${store}:${key}`));
}

/**
 * Count a request. The answer does not wait for it.
 * @param {Env} env
 * @param {{waitUntil: (promise: Promise<unknown>) => void}} context of the request
 * @param {string} store
 * @param {string} key of the record of the API key
 */
export function countRequest(env, context, store, key) {
  if (!env.NIMBUS_USAGE || secondsOf(env) === 0) {
    return;
  }
  const now = Date.now();
  add(key, now, 1);
  if (now - collecting > 2 * COLLECT_MS || now < collecting) {
    collecting = now;
    context.waitUntil(collect(env, store));
  }
}

/** @param {Env} env @param {string} store */
async function collect(env, store) {
  await scheduler.wait(COLLECT_MS);
  collecting = 0;
  const uses = [...collected.values()];
  collected.clear();
  await inParallel(uses, async ({ key, last, requests }) => {
    try {
      await usageObject(env, store, key)?.count(store, key, last, requests);
    } catch (error) {
      add(key, last, requests); // with the next ones
      console.error(`Some requests are not counted yet: ${error instanceof Error ? error.message : error}`);
    }
  });
}

/** @param {string} key @param {number} last @param {number} requests */
function add(key, last, requests) {
  const id = `${dayOf(last)} ${key}`;
  const known = collected.get(id) ?? { key, last, requests: 0 };
  collected.set(id, { key, last: Math.max(known.last, last), requests: known.requests + requests });
}

/** @extends {DurableObject<Env>} */
export class Usage extends DurableObject {
  /** @type {State | undefined} */
  #state;
  /** The end of the last write: one at a time, because a read and the put after it belong together. */
  #turn = Promise.resolve();

  /** @param {DurableObjectState} ctx @param {Env} env */
  constructor(ctx, env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      this.#state = await ctx.storage.get("state");
    });
  }

  /**
   * Add requests of one day. They are durable when this returns, and the record follows.
   * @param {string} store the id of the current store
   * @param {string} key
   * @param {number} last when the last of them came, in ms since 1970
   * @param {number} requests
   */
  async count(store, key, last, requests) {
    const state = this.#stateOf(store, key);
    state.total += requests;
    if (dayOf(last) === dayOf(state.last)) {
      state.today += requests;
    } else if (last > state.last) {
      state.today = requests;
    }
    state.last = Math.max(state.last, last);
    state.pending = true;
    await this.#save();
    await this.#schedule();
  }

  /**
   * Put the record: what the admin writes. It is in KV when this returns.
   * @param {string} store the id of the current store
   * @param {string} key
   * @param {string} value
   * @param {string} metadata JSON, "" if there is none
   */
  async put(store, key, value, metadata) {
    await this.#inTurn(async () => {
      const state = this.#stateOf(store, key);
      state.rest = restOf(parsed(value));
      state.restAt = Date.now();
      await this.#save();
      await namespaceOf(this.env, key).put(key, value, optionsOf(metadata));
    });
  }

  async alarm() {
    const state = this.#state;
    if (!state?.pending || (await storeId(this.env)) !== state.store) {
      return; // in the second case another namespace is behind the Worker now
    }
    state.written = Date.now();
    await this.#save();
    await this.#schedule(); // if this object dies in the middle, or KV fails
    try {
      await this.#inTurn(() => this.#write(state));
    } catch (error) {
      console.error(`KV did not take the counts of a key: ${error instanceof Error ? error.message : error}`);
    }
    await this.#save();
  }

  /** Write the counts into the record. @param {State} state */
  async #write(state) {
    const namespace = namespaceOf(this.env, state.key);
    const text = await namespace.get(state.key);
    const record = parsed(text);
    const rest = restOf(record);
    if (rest !== state.rest) {
      if (Date.now() - state.restAt < LAG_MS) {
        return; // KV is late, or another program wrote: nobody can tell yet
      }
      state.rest = rest;
      state.restAt = 0;
    }
    if (record?.active !== true) {
      state.pending = false; // nobody can use it, and a revoked key's record stays as it is
      return;
    }
    const listed = (await namespace.list({ prefix: state.key, limit: 1 })).keys[0]; // only a listing has the expiration
    const expiration = listed?.expiration;
    if (listed?.name !== state.key || (expiration && expiration * 1000 < Date.now() + LEAST_LIFE_MS)) {
      return;
    }
    if (!state.adopted) {
      const { requests_today, requests_total } = fieldsOf(record.usage);
      state.total += countIn(requests_total);
      state.today += dayOf(Date.parse(record.last_used)) === dayOf(state.last) ? countIn(requests_today) : 0;
      state.adopted = true;
      await this.#save();
    }
    const { last, today, total } = state;
    const exact = JSON.parse(text ?? "", unrounded);
    const usage = { ...fieldsOf(exact.usage), requests_today: today, requests_total: total };
    const after = JSON.stringify({ ...exact, last_used: new Date(last).toISOString(), usage });
    const { metadata } = listed;
    await namespace.put(state.key, after, { ...(expiration && { expiration }), ...(metadata ? { metadata } : {}) });
    state.pending = state.total > total;
  }

  /** @param {string} store @param {string} key @returns {State} */
  #stateOf(store, key) {
    const counts = { last: 0, today: 0, total: 0, pending: false, adopted: false };
    return (this.#state ??= { store, key, ...counts, rest: "", restAt: 0, written: 0 });
  }

  async #save() {
    await this.ctx.storage.put("state", this.#state);
  }

  /** Set the alarm for the next write, if there is something to write and no earlier one is set. */
  async #schedule() {
    if (this.#state?.pending) {
      const due = Math.max(Date.now(), this.#state.written + secondsOf(this.env) * 1000);
      if (((await this.ctx.storage.getAlarm()) ?? Infinity) > due) {
        await this.ctx.storage.setAlarm(due);
      }
    }
  }

  /** @param {() => Promise<void>} work */
  async #inTurn(work) {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    await done;
  }
}

/** @param {any} record @returns {string} all that this object never changes */
function restOf(record) {
  return JSON.stringify({ ...fieldsOf(record), last_used: undefined, usage: undefined });
}

/** @param {any} value @returns {Record<string, any>} */
function fieldsOf(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** @param {unknown} count */
function countIn(count) {
  return Number.isSafeInteger(count) ? Math.max(0, Number(count)) : 0;
}

/**
 * Keep numbers of fields that are not ours as they are written: JavaScript's own have 53 bits.
 * @param {string} _name
 * @param {unknown} value
 * @param {{source?: string}} [context]
 */
function unrounded(_name, value, context) {
  return typeof value === "number" ? /** @type {any} */ (JSON).rawJSON(context?.source) : value;
}

/** @param {number} moment ms since 1970 @returns {string} its day in UTC, "" if it is not a number */
function dayOf(moment) {
  return Number.isNaN(moment) ? "" : new Date(moment).toISOString().slice(0, 10);
}

/** @param {Env} env @returns {number} the least time between two writes of a record */
function secondsOf(env) {
  const seconds = Number(env.NIMBUS_USAGE_SECONDS ?? SECONDS);
  return seconds >= 0 ? seconds : SECONDS;
}
