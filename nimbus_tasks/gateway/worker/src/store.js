/** Gets and puts: a project's Durable Object for keys that can be compared and set, KV for all others. */

import { Refusal, refusalFor } from "./answers.js";
import { isSwappable, kindOf, objectNameOf, refusal } from "./keys.js";
import { bindingOf, inParallel, namespaceOf, optionsOf } from "./kv.js";
import { ANSWER_BYTES } from "./limits.js";
import { checkWrite } from "./ownership.js";
import { projectObject } from "./project.js";
import { usageObject } from "./usage.js";
import { bytesOf, sha256 } from "./utf8.js";

/** @typedef {import("./ownership.js").Visit} Visit */
/** @typedef {import("./body.js").Pair} Pair */
/** @typedef {import("./body.js").Swap} Swap */
/** @typedef {{code: string, message: string}} Failure */

/** Keys in one bulk read of KV. */
const KV_KEYS = 100;

/**
 * @param {Visit} visit
 * @param {string} key
 * @returns {Promise<{value: ReadableStream | Uint8Array, digest: string} | null>} the digest is "" for other kinds
 */
export async function get(visit, key) {
  if (isSwappable(key)) {
    return objectOf(visit, objectNameOf(key)).read(key);
  }
  const value = await namespaceOf(visit.env, key).get(key, "stream");
  return value === null ? null : { value, digest: "" };
}

/**
 * @param {Visit} visit
 * @param {string[]} keys each once
 * @returns {Promise<Map<string, string | null>>}
 */
export async function getMany(visit, keys) {
  const { env } = visit;
  /** @type {Map<string, Uint8Array>} */
  const values = new Map();
  let left = ANSWER_BYTES;
  const take = (/** @type {string} */ key, /** @type {Uint8Array | null | undefined} */ bytes) => {
    if (bytes) {
      left -= bytes.byteLength;
      values.set(key, bytes);
    }
  };
  const direct = keys.filter((key) => !isSwappable(key));
  for (const some of grouped(direct, (key) => bindingOf(env, key)).values()) {
    for (let at = 0; at < some.length; at += KV_KEYS) {
      const found = await namespaceOf(env, some[0] ?? "").get(some.slice(at, at + KV_KEYS), "text");
      found.forEach((value, key) => take(key, value === null ? null : bytesOf(value)));
    }
  }
  for (const [name, some] of grouped(keys.filter(isSwappable), objectNameOf)) {
    const found = left < 0 ? null : await objectOf(visit, name).readMany(some, left);
    if (found === null) {
      throw tooMuch();
    }
    some.forEach((key, at) => take(key, found[at]));
  }
  if (left < 0) {
    throw tooMuch();
  }
  const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
  return new Map(
    keys.map((key) => {
      const bytes = values.get(key);
      return [key, bytes ? decoder.decode(bytes) : null];
    }),
  );
}

const tooMuch = () => new Refusal("too_large", "The values are too large for one answer: ask for fewer keys.");

/** The writes of a bulk request that fail, each on its own. */
class Failures {
  /** @type {Map<string, Failure>} */
  failed = new Map();

  /**
   * Keep the writes that KV would accept; the others fail.
   * @template {Pair} Each
   * @param {Each[]} pairs
   * @returns {Each[]}
   */
  accept(pairs) {
    return pairs.filter((pair) => {
      const message = refusal(pair);
      if (message) {
        this.failed.set(pair.key, { code: "bad_request", message });
      }
      return !message;
    });
  }

  /**
   * Store some writes, which fail together.
   * @param {Pair[]} pairs
   * @param {() => Promise<unknown>} store
   */
  async attempt(pairs, store) {
    try {
      await store();
    } catch (error) {
      const { code, message } = refusalFor(error);
      pairs.forEach(({ key }) => this.failed.set(key, { code, message }));
    }
  }
}

/**
 * Put many. Each pair is stored or fails on its own.
 * @param {Visit} visit
 * @param {Pair[]} pairs
 * @returns {Promise<{confirmed: string[], failed: Map<string, Failure>}>}
 */
export async function putMany(visit, pairs) {
  const failures = new Failures();
  const accepted = failures.accept([...new Map(pairs.map((pair) => [pair.key, pair])).values()]);
  await checkWrite(visit, accepted);
  const direct = accepted.filter(({ key }) => !isSwappable(key));
  await inParallel(direct, (pair) => failures.attempt([pair], () => putDirect(visit, pair)));
  await inParallel(byObject(accepted.filter(({ key }) => isSwappable(key))), ([name, some]) =>
    failures.attempt(some, async () => objectOf(visit, name).write(visit.store, await encoded(some))),
  );
  const { failed } = failures;
  return { confirmed: accepted.map(({ key }) => key).filter((key) => !failed.has(key)), failed };
}

/**
 * Compare and set many values, those of each project in one transaction of its Durable Object.
 * @param {Visit} visit
 * @param {Swap[]} swaps of different keys
 * @returns {Promise<{swapped: string[], failed: Map<string, Failure>}>} a key in neither holds another value
 */
export async function swapMany(visit, swaps) {
  const failures = new Failures();
  const accepted = failures.accept(swaps);
  await checkWrite(visit, accepted);
  const swapped = new Set();
  await inParallel(byObject(accepted), ([name, some]) =>
    failures.attempt(some, async () => {
      const keys = await objectOf(visit, name).swap(visit.store, await encoded(some));
      keys.forEach((key) => swapped.add(key));
    }),
  );
  return { swapped: accepted.map(({ key }) => key).filter((key) => swapped.has(key)), failed: failures.failed };
}

/** Put one pair that was checked. @param {Visit} visit @param {Pair} pair */
export async function put(visit, pair) {
  if (isSwappable(pair.key)) {
    await objectOf(visit, objectNameOf(pair.key)).write(visit.store, await encoded([pair]));
  } else {
    await putDirect(visit, pair);
  }
}

/**
 * Compare and set one pair that was checked.
 * @param {Visit} visit
 * @param {Swap} swap
 * @returns {Promise<string>} the digest of the new value, "" if the key does not hold the expected one
 */
export async function swapOne(visit, swap) {
  const writes = await encoded([swap]);
  const swapped = await objectOf(visit, objectNameOf(swap.key)).swap(visit.store, writes);
  return swapped.length && writes[0] ? writes[0].digest : "";
}

/** @param {Visit} visit @param {string} name */
const objectOf = ({ env, store }, name) => projectObject(env, store, name);

/**
 * Writes as a Durable Object takes them. As bytes, a value of 25 MiB stays under the 32 MiB that a call may carry.
 * @template {Pair} Each
 * @param {Each[]} pairs
 * @returns {Promise<(Omit<Each, "value"> & import("./table.js").Write)[]>}
 */
function encoded(pairs) {
  return Promise.all(
    pairs.map(async (pair) => {
      const value = bytesOf(pair.value);
      return { ...pair, value, digest: await sha256(value) };
    }),
  );
}

/** @param {Visit} visit @param {Pair} pair @returns {Promise<void>} */
async function putDirect({ env, store }, { key, value, metadata }) {
  const usage = kindOf(key) === "apikey" ? usageObject(env, store, key) : undefined;
  await (usage ? usage.put(store, key, value, metadata) : namespaceOf(env, key).put(key, value, optionsOf(metadata)));
}

/** @template {Pair} Each @param {Each[]} pairs */
const byObject = (pairs) => [...grouped(pairs, ({ key }) => objectNameOf(key))];

/**
 * @template Member
 * @param {Member[]} members
 * @param {(member: Member) => string} nameOf
 * @returns {Map<string, Member[]>}
 */
function grouped(members, nameOf) {
  /** @type {Map<string, Member[]>} */
  const groups = new Map();
  for (const member of members) {
    const name = nameOf(member);
    const group = groups.get(name);
    if (group) {
      group.push(member);
    } else {
      groups.set(name, [member]);
    }
  }
  return groups;
}
