/** Bodies of requests: bounded, UTF-8, JSON, and of the shape that the protocol asks for. */

import { Refusal } from "./answers.js";
import { isKey, isSwappable } from "./keys.js";
import { BODY_BYTES, OVERHEAD_BYTES, PUT_BODY_BYTES } from "./limits.js";

/** @typedef {import("./limits.js").Limits} Limits */

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
 * @returns {Promise<Pair>}
 */
export async function readPut(request, key) {
  const body = object(await readJson(request, PUT_BODY_BYTES), "The body");
  const options = body.options === undefined || body.options === null ? {} : object(body.options, "options");
  return { key, value: string(body.value, "value"), metadata: metadataOf(options.metadata, "options.metadata") };
}

/**
 * The body of `PUT /bulk`.
 * @param {Request} request
 * @param {Limits} limits
 * @returns {Promise<Pair[]>}
 */
export async function readPairs(request, limits) {
  const body = list(await readJson(request, 2 * limits.bytes + OVERHEAD_BYTES), "The body");
  if (body.length > limits.pairs) {
    throw new Refusal("too_large", `A request carries at most ${limits.pairs} pairs.`);
  }
  return body.map((entry, at) => pairOf(entry, `[${at}]`));
}

/**
 * The body of `POST /bulk/swap`.
 * @param {Request} request
 * @param {Limits} limits
 * @returns {Promise<Swap[]>} of different keys
 */
export async function readSwaps(request, limits) {
  const body = object(await readJson(request, 2 * limits.bytes + OVERHEAD_BYTES), "The body");
  const swaps = list(body.swaps, "swaps");
  if (swaps.length > limits.swaps) {
    throw new Refusal("too_large", `A request carries at most ${limits.swaps} swaps.`);
  }
  const keys = new Set();
  return swaps.map((entry, at) => {
    const place = `swaps[${at}]`;
    const pair = pairOf(entry, place);
    if (!isSwappable(pair.key)) {
      throw new Refusal("bad_request", `${place}.key is not a queue:, batch: or status: key.`);
    }
    if (keys.has(pair.key)) {
      throw new Refusal("bad_request", `${place}.key is the key of another swap in this request.`);
    }
    keys.add(pair.key);
    return { ...pair, expected: expectedOf(object(entry, place).expected, `${place}.expected`) };
  });
}

/**
 * The body of `POST /bulk/get`.
 * @param {Request} request
 * @param {Limits} limits
 * @returns {Promise<string[]>} each key once
 */
export async function readKeys(request, limits) {
  const entries = list(object(await readJson(request, OVERHEAD_BYTES), "The body").keys, "keys");
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

/** @param {Request} request @param {number} most bytes @returns {Promise<unknown>} */
async function readJson(request, most) {
  const text = await readText(request, most);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("bad_request", "The body is not JSON.");
  }
}

/**
 * Count while reading, because Content-Length may be wrong or absent. The rest of a body that is too large is read and
 * discarded: a client that is still sending does not receive an answer.
 * @param {Request} request
 * @param {number} most bytes
 */
async function readText(request, most) {
  const tooLarge = new Refusal("too_large", `The body takes more than ${most.toLocaleString("en")} bytes.`);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  const pieces = [];
  let count = 0;
  try {
    for await (const chunk of request.body ?? []) {
      count += chunk.byteLength;
      if (count <= most) {
        pieces.push(decoder.decode(chunk, { stream: true }));
      } else if (count > BODY_BYTES) {
        break;
      }
    }
    if (count <= most) {
      pieces.push(decoder.decode());
    }
  } catch (error) {
    if (Number(request.headers.get("Content-Length")) > most) {
      throw tooLarge;
    }
    throw new Refusal("bad_request", error instanceof TypeError ? "The body is not UTF-8." : "The body broke off.");
  }
  if (count > most) {
    throw tooLarge;
  }
  return pieces.join("");
}

/**
 * Read the rest of a refused request, unless it is long: closing a connection with unread bytes resets it, and the
 * client may never see the answer.
 * @param {Request} request
 */
export async function discardBody(request) {
  let count = 0;
  try {
    if (request.bodyUsed) {
      return;
    }
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
