/** Gets and puts over both sides: a project's Durable Object for what can be compared and set, KV for all else. */

import { fromStore, Refusal } from "./answers.js";
import { bindingOf, isSwappable, kindOf, refusal, secondPart } from "./keys.js";
import { ANSWER_BYTES } from "./limits.js";
import { inLanes, namespaceOf, optionsOf } from "./namespaces.js";
import { checkWrite } from "./ownership.js";
import { projectObject } from "./project.js";
import { bytesOf } from "./utf8.js";

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

/**
 * Put many, each on its own: what fails, fails alone.
 * @param {import("./ownership.js").Visit} visit
 * @param {import("./body.js").Pair[]} pairs
 * @returns {Promise<{confirmed: string[], failed: Map<string, {code: string, message: string}>}>}
 */
export async function putMany(visit, pairs) {
  const last = [...new Map(pairs.map((pair) => [pair.key, pair])).values()];
  const failed = new Map();
  const accepted = last.filter(({ key, value, metadata }) => {
    const message = refusal(key, value, metadata);
    if (message) {
      failed.set(key, { code: "bad_request", message });
    }
    return !message;
  });
  await checkWrite(visit, accepted);
  const attempt = async (keys, act) => {
    try {
      await act();
    } catch (error) {
      const { code, message } = fromStore(error);
      keys.forEach((key) => failed.set(key, { code, message }));
    }
  };
  const direct = accepted.filter(({ key }) => !isSwappable(key));
  await inLanes(direct, (pair) => attempt([pair.key], () => putDirect(visit, pair)));
  const others = grouped(accepted.filter(({ key }) => isSwappable(key)), ({ key }) => secondPart(key));
  await inLanes([...others], ([second, some]) =>
    attempt(some.map(({ key }) => key), () => objectOf(visit, second).write(visit.store, some.map(encoded))),
  );
  return { confirmed: accepted.map(({ key }) => key).filter((key) => !failed.has(key)), failed };
}

/** Put one that was checked. @param {import("./ownership.js").Visit} visit @param {import("./body.js").Pair} pair */
export async function put(visit, pair) {
  if (isSwappable(pair.key)) {
    await objectOf(visit, secondPart(pair.key)).write(visit.store, [encoded(pair)]);
  } else {
    await putDirect(visit, pair);
  }
}

const objectOf = ({ env, store }, second) => projectObject(env, store, second);

/** As bytes a value of 25 MiB stays under the 32 MiB that a call may carry, whatever its characters. */
const encoded = ({ key, value, metadata }) => ({ key, value: bytesOf(value), metadata });

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
