/** Gets and puts over both sides: a project's Durable Object for what can be compared and set, KV for all else. */

import { fromStore, Refusal } from "./answers.js";
import { bindingOf, isSwappable, kindOf, refusal, secondPart } from "./keys.js";
import { ANSWER_BYTES } from "./limits.js";
import { inLanes, namespaceOf, optionsOf } from "./namespaces.js";
import { checkWrite } from "./ownership.js";
import { projectObject } from "./project.js";
import { bytesOf, sha256 } from "./utf8.js";

/** Keys that one bulk read of KV takes. */
const KV_KEYS = 100;

/**
 * @param {import("./ownership.js").Visit} visit
 * @param {string} key
 * @returns {Promise<{value: ReadableStream | Uint8Array, digest: string} | null>} a digest only of what can be swapped
 */
export async function get({ env, store }, key) {
  if (isSwappable(key)) {
    return projectObject(env, store, secondPart(key)).read(key);
  }
  const value = await namespaceOf(env, key).get(key, "stream");
  return value === null ? null : { value, digest: "" };
}

/**
 * @param {import("./ownership.js").Visit} visit
 * @param {string[]} keys each once
 * @returns {Promise<Map<string, string | null>>}
 */
export async function getMany({ env, store }, keys) {
  const values = new Map(keys.map((key) => [key, null]));
  let left = ANSWER_BYTES;
  const take = (key, bytes) => {
    if (bytes !== null) {
      left -= bytes.byteLength;
      values.set(key, bytes);
    }
  };
  const direct = keys.filter((key) => !isSwappable(key));
  for (const some of grouped(direct, (key) => bindingOf(env, kindOf(key))).values()) {
    for (let at = 0; at < some.length; at += KV_KEYS) {
      const found = await namespaceOf(env, some[0]).get(some.slice(at, at + KV_KEYS), "text");
      found.forEach((value, key) => take(key, value === null ? null : bytesOf(value)));
    }
  }
  for (const [second, some] of grouped(keys.filter(isSwappable), secondPart)) {
    const found = left < 0 ? null : await projectObject(env, store, second).readMany(some, left);
    if (found === null) {
      throw tooMuch();
    }
    found.forEach((bytes, at) => take(some[at], bytes));
  }
  if (left < 0) {
    throw tooMuch();
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return new Map([...values].map(([key, bytes]) => [key, bytes === null ? null : decoder.decode(bytes)]));
}

const tooMuch = () => new Refusal("too_large", "What is asked for is too large for one answer: ask for fewer keys.");

/** @typedef {{code: string, message: string}} Failure */

/** The writes of a bulk request that failed, each on its own. */
class Failures {
  /** @type {Map<string, Failure>} */
  failed = new Map();

  /** @param {string} key @param {string} message why the write cannot be stored, "" if it can */
  accept(key, message) {
    if (message) {
      this.failed.set(key, { code: "bad_request", message });
    }
    return !message;
  }

  /** @param {{key: string}[]} writes fail together if `store` does @param {() => Promise<void>} store */
  async attempt(writes, store) {
    try {
      await store();
    } catch (error) {
      const { code, message } = fromStore(error);
      writes.forEach(({ key }) => this.failed.set(key, { code, message }));
    }
  }
}

/**
 * Put many, each on its own: what fails, fails alone.
 * @param {import("./ownership.js").Visit} visit
 * @param {import("./body.js").Pair[]} pairs
 * @returns {Promise<{confirmed: string[], failed: Map<string, Failure>}>}
 */
export async function putMany(visit, pairs) {
  const last = [...new Map(pairs.map((pair) => [pair.key, pair])).values()];
  const failures = new Failures();
  const accepted = last.filter(({ key, value, metadata }) => failures.accept(key, refusal(key, value, metadata)));
  await checkWrite(visit, accepted);
  const direct = accepted.filter(({ key }) => !isSwappable(key));
  await inLanes(direct, (pair) => failures.attempt([pair], () => putDirect(visit, pair)));
  const others = grouped(accepted.filter(({ key }) => isSwappable(key)), ({ key }) => secondPart(key));
  await inLanes([...others], ([second, some]) =>
    failures.attempt(some, async () => objectOf(visit, second).write(visit.store, await encoded(some))),
  );
  const { failed } = failures;
  return { confirmed: accepted.map(({ key }) => key).filter((key) => !failed.has(key)), failed };
}

/**
 * Compare and set many values; each project's in one transaction of its Durable Object.
 * @param {import("./ownership.js").Visit} visit
 * @param {import("./body.js").Swap[]} swaps each key once
 * @returns {Promise<{swapped: string[], failed: Map<string, Failure>}>} in neither: another value is there
 */
export async function swapMany(visit, swaps) {
  const failures = new Failures();
  const accepted = swaps.filter(({ key, value, metadata }) => failures.accept(key, refusal(key, value, metadata)));
  await checkWrite(visit, accepted);
  const swapped = new Set();
  await inLanes([...grouped(accepted, ({ key }) => secondPart(key))], ([second, some]) =>
    failures.attempt(some, async () => {
      const stored = await objectOf(visit, second).swap(visit.store, await encoded(some));
      stored.forEach((key) => swapped.add(key));
    }),
  );
  return { swapped: accepted.map(({ key }) => key).filter((key) => swapped.has(key)), failed: failures.failed };
}

/** Put one that was checked. @param {import("./ownership.js").Visit} visit @param {import("./body.js").Pair} pair */
export async function put(visit, pair) {
  if (isSwappable(pair.key)) {
    await objectOf(visit, secondPart(pair.key)).write(visit.store, await encoded([pair]));
  } else {
    await putDirect(visit, pair);
  }
}

/**
 * Compare and set one that was checked.
 * @param {import("./ownership.js").Visit} visit
 * @param {import("./body.js").Swap} pair
 * @returns {Promise<string>} the digest of the new value, "" if another value is there than the expected one
 */
export async function swap(visit, pair) {
  const writes = await encoded([pair]);
  const swapped = await objectOf(visit, secondPart(pair.key)).swap(visit.store, writes);
  return swapped.length ? writes[0].digest : "";
}

const objectOf = ({ env, store }, second) => projectObject(env, store, second);

/**
 * Writes as a Durable Object takes them. Encoded, a value of 25 MiB stays under the 32 MiB that a call may carry.
 * @template {import("./body.js").Pair} Pair
 * @param {Pair[]} pairs
 * @returns {Promise<(Omit<Pair, "value"> & {value: Uint8Array, digest: string})[]>}
 */
function encoded(pairs) {
  return Promise.all(
    pairs.map(async (pair) => {
      const value = bytesOf(pair.value);
      return { ...pair, value, digest: await sha256(value) };
    }),
  );
}

function putDirect({ env }, { key, value, metadata }) {
  return namespaceOf(env, key).put(key, value, optionsOf(metadata));
}

/** @template Member @param {Member[]} members @returns {Map<string, Member[]>} */
function grouped(members, nameOf) {
  const groups = new Map();
  for (const member of members) {
    const name = nameOf(member);
    groups.set(name, groups.get(name) ?? []);
    groups.get(name).push(member);
  }
  return groups;
}
