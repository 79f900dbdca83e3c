/** Bodies of requests: bounded, UTF-8, JSON, and of the shape that the protocol asks for. */

import { Refusal } from "./answers.js";
import { Piece, readItems } from "./json.js";
import { isKey, isSwappable } from "./keys.js";
import { ENVELOPE_BYTES, ESCAPED_KEY_BYTES, OVERHEAD_BYTES, PUT_BODY_BYTES } from "./limits.js";

/** @typedef {import("./limits.js").Limits} Limits */
/** @typedef {import("./load.js").Load} Load */
/** @typedef {(key: string) => Promise<void>} Check throws as soon as a key belongs to another user */

/**
 * One write.
 * @typedef {object} Pair
 * @property {string} key
 * @property {string} value
 * @property {string} metadata JSON, "" if there is none
 */

/**
 * A write that is stored only if the key holds the expected value.
 * @typedef {Pair & {expected: string}} Swap `expected` is the SHA-256 of a value in hex, "" for no value
 */

const DIGEST = /^[0-9a-f]{64}$/;

/**
 * The body of `PUT /kv/{key}`.
 * @param {Request} request
 * @param {string} key
 * @param {Load} load
 * @returns {Promise<Pair>}
 */
export async function readPut(request, key, load) {
  /** @type {unknown} */
  let body;
  const rest = await readItems(chunksOf(request, PUT_BODY_BYTES, load), 0, (item) => void (body = item));
  const { value, options } = object(body ?? rest, "The body");
  const { metadata } = object(options ?? {}, "options");
  return { key, value: string(value, "value"), metadata: metadataOf(metadata, "options.metadata") };
}

/**
 * The body of `PUT /bulk`.
 * @param {Request} request
 * @param {Limits} limits
 * @param {Load} load
 * @param {Check} check
 * @returns {Promise<Pair[]>}
 */
export async function readPairs(request, limits, load, check) {
  /** @type {Pair[]} */
  const pairs = [];
  const frame = await readItems(chunksOf(request, bulkBytes(limits), load), 1, async (entry, at) => {
    if (at === limits.pairs) {
      throw new Refusal("too_large", `A request carries at most ${limits.pairs} pairs.`);
    }
    const pair = pairOf(entry, `[${at}]`);
    await check(pair.key);
    pairs.push(pair);
  });
  checkItems(list(frame, "The body"), pairs.length, "");
  return pairs;
}

/**
 * The body of `POST /bulk/swap`.
 * @param {Request} request
 * @param {Limits} limits
 * @param {Load} load
 * @param {Check} check
 * @returns {Promise<Swap[]>} of different keys
 */
export async function readSwaps(request, limits, load, check) {
  /** @type {Map<string, Swap>} */
  const swaps = new Map();
  const frame = await readItems(chunksOf(request, bulkBytes(limits), load), 2, async (entry, at) => {
    if (at === limits.swaps) {
      throw new Refusal("too_large", `A request carries at most ${limits.swaps} swaps.`);
    }
    const place = `swaps[${at}]`;
    const pair = pairOf(entry, place);
    if (!isSwappable(pair.key)) {
      throw new Refusal("bad_request", `${place}.key is not a queue:, batch: or status: key, nor a pointer.`);
    }
    if (swaps.has(pair.key)) {
      throw new Refusal("bad_request", `${place}.key is the key of another swap in this request.`);
    }
    await check(pair.key);
    swaps.set(pair.key, { ...pair, expected: expectedOf(object(entry, place).expected, `${place}.expected`) });
  });
  checkItems(list(object(frame, "The body").swaps, "swaps"), swaps.size, "swaps");
  return [...swaps.values()];
}

/**
 * The body of `POST /bulk/get`.
 * @param {Request} request
 * @param {Limits} limits
 * @param {Load} load
 * @returns {Promise<string[]>} each key once
 */
export async function readKeys(request, limits, load) {
  const most = limits.keys * ESCAPED_KEY_BYTES + ENVELOPE_BYTES;
  const body = new Piece();
  for await (const chunk of chunksOf(request, most, load)) {
    body.add(chunk);
  }
  const entries = list(object(body.parsed(), "The body").keys, "keys");
  if (entries.length > limits.keys) {
    throw new Refusal("too_large", `A request asks for at most ${limits.keys} keys.`);
  }
  const keys = entries.map((entry, at) => {
    const key = string(entry, `keys[${at}]`);
    if (!isKey(key)) {
      throw new Refusal("bad_request", `keys[${at}] is not 1 to 512 bytes of UTF-8.`);
    }
    return key;
  });
  return [...new Set(keys)];
}

/** @param {Limits} limits */
const bulkBytes = ({ bytes }) => 2 * bytes + OVERHEAD_BYTES;

/**
 * Check that the array of a body has the items that were taken, and nothing else: they lie nowhere else in the body.
 * @param {unknown[]} entries
 * @param {number} items
 * @param {string} place
 */
function checkItems(entries, items, place) {
  entries.forEach((entry, at) => object(entry, `${place}[${at}]`));
  if (entries.length !== items) {
    throw new Refusal("bad_request", `The body has objects beside those of ${place}.`);
  }
}

/**
 * Count while reading, because Content-Length may be wrong or absent.
 * @param {Request} request
 * @param {number} most bytes
 * @param {Load} load
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* chunksOf(request, most, load) {
  const tooLarge = new Refusal("too_large", `The body takes more than ${most.toLocaleString("en")} bytes.`);
  const length = Number(request.headers.get("Content-Length") ?? NaN);
  if (length > most) {
    throw tooLarge;
  }
  load.take(length || 0);
  let count = 0;
  const chunks = request.body?.values({ preventCancel: true });
  for (;;) {
    const { done, value } = (await chunks?.next().catch(refuseBroken)) ?? { done: true, value: undefined };
    if (done) {
      return;
    }
    count += value.byteLength;
    if (count > most) {
      throw tooLarge;
    }
    if (!(count <= length)) {
      load.take(value.byteLength);
    }
    yield value;
  }
}

/** @returns {never} */
function refuseBroken() {
  throw new Refusal("bad_request", "The body broke off.");
}

/**
 * Read the rest of a refused request, unless it is long: closing a connection with unread bytes may reset it, and the
 * client may never see the answer. Reading 16 MB here makes others wait for a second.
 * @param {Request} request
 */
export async function discardBody(request) {
  let count = 0;
  try {
    for await (const chunk of request.body ?? []) {
      count += chunk.byteLength;
      if (count > OVERHEAD_BYTES) {
        return;
      }
    }
  } catch {
    // It broke off: no client is left to receive an answer.
  }
}

/** @param {unknown} entry @param {string} place @returns {Pair} */
function pairOf(entry, place) {
  const { key, value, metadata } = object(entry, place);
  return {
    key: string(key, `${place}.key`),
    value: string(value, `${place}.value`),
    metadata: metadataOf(metadata, `${place}.metadata`),
  };
}

/** @param {unknown} found @param {string} place */
function expectedOf(found, place) {
  if (found === null) {
    return "";
  }
  if (typeof found !== "string" || !DIGEST.test(found)) {
    throw new Refusal("bad_request", `${place} is neither null nor the SHA-256 of a value in hex.`);
  }
  return found;
}

/** @param {unknown} found @param {string} place */
function string(found, place) {
  if (typeof found !== "string") {
    throw new Refusal("bad_request", `${place} is not a string.`);
  }
  return found;
}

/** @param {unknown} found @param {string} place @returns {unknown[]} */
function list(found, place) {
  if (!Array.isArray(found)) {
    throw new Refusal("bad_request", `${place} is not an array.`);
  }
  return found;
}

/** @param {unknown} found @param {string} place @returns {Record<string, unknown>} */
function object(found, place) {
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new Refusal("bad_request", `${place} is not an object.`);
  }
  return /** @type {Record<string, unknown>} */ (found);
}

/** @param {unknown} found @param {string} place @returns {string} JSON, "" if there is none */
function metadataOf(found, place) {
  if (found === undefined || found === null) {
    return "";
  }
  try {
    return JSON.stringify(object(found, place));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new Refusal("bad_request", `${place} is nested too deeply.`);
    }
    throw error;
  }
}
