/** Bodies of requests: bounded, UTF-8, JSON, and of the shape that the protocol has. */

import { Refusal } from "./answers.js";
import { isKey, isSwappable } from "./keys.js";
import { PUT_BODY_BYTES, SLACK_BYTES } from "./limits.js";

/** What Cloudflare lets a body be; no need to read on after that. */
const LONGEST_BYTES = 100 * 1024 * 1024;

const DIGEST = /^[0-9a-f]{64}$/;

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
 * @param {import("./limits.js").Limits} limits
 * @returns {Promise<Pair[]>}
 */
export async function readPairs(request, limits) {
  const body = list(await readJson(request, 2 * limits.bytes + SLACK_BYTES), "The body");
  if (body.length > limits.pairs) {
    throw new Refusal("too_large", `A request carries at most ${limits.pairs} pairs.`);
  }
  return body.map((entry, at) => pairOf(entry, `[${at}]`));
}

/**
 * The body of `POST /bulk/swap`.
 * @param {Request} request
 * @param {import("./limits.js").Limits} limits
 * @returns {Promise<Swap[]>}
 */
export async function readSwaps(request, limits) {
  const body = object(await readJson(request, 2 * limits.bytes + SLACK_BYTES), "The body");
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
    return { ...pair, expected: expectedOf(entry.expected, `${place}.expected`) };
  });
}

/**
 * The body of `POST /bulk/get`.
 * @param {Request} request
 * @param {import("./limits.js").Limits} limits
 * @returns {Promise<string[]>} each key once
 */
export async function readKeys(request, limits) {
  const keys = list(object(await readJson(request, SLACK_BYTES), "The body").keys, "keys");
  if (keys.length > limits.keys) {
    throw new Refusal("too_large", `A request asks for at most ${limits.keys} keys.`);
  }
  keys.forEach((key, at) => {
    if (!isKey(string(key, `keys[${at}]`))) {
      throw new Refusal("bad_request", `keys[${at}] is not 1 to 512 bytes of UTF-8.`);
    }
  });
  return [...new Set(keys)];
}

async function readJson(request, most) {
  const text = await readText(request, most);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("bad_request", "The body is not JSON.");
  }
}

/**
 * Count while reading: what Content-Length says may be a lie, or be absent. What is too large is read on without being
 * kept, for a client that still sends does not hear an answer.
 */
async function readText(request, most) {
  const tooLarge = new Refusal("too_large", `The body takes more than ${most.toLocaleString("en")} bytes.`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const pieces = [];
  let count = 0;
  try {
    for await (const chunk of request.body ?? []) {
      count += chunk.byteLength;
      if (count <= most) {
        pieces.push(decoder.decode(chunk, { stream: true }));
      } else if (count > LONGEST_BYTES) {
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
 * Read what is left of a request that is refused, if it is not much: a connection that is closed over unread bytes is
 * reset, and its client may never see the answer.
 * @param {Request} request
 */
export async function readOn(request) {
  let count = 0;
  try {
    if (request.bodyUsed) {
      return;
    }
    for await (const chunk of request.body ?? []) {
      count += chunk.byteLength;
      if (count > SLACK_BYTES) {
        return;
      }
    }
  } catch {
    // It broke off: there is nobody to hear an answer.
  }
}

function pairOf(entry, place) {
  const { key, value, metadata } = object(entry, place);
  return {
    key: string(key, `${place}.key`),
    value: string(value, `${place}.value`),
    metadata: metadataOf(metadata, `${place}.metadata`),
  };
}

function expectedOf(found, place) {
  if (found === null) {
    return "";
  }
  if (typeof found !== "string" || !DIGEST.test(found)) {
    throw new Refusal("bad_request", `${place} is neither null nor the SHA-256 of a value in hex.`);
  }
  return found;
}

function string(found, place) {
  if (typeof found !== "string") {
    throw new Refusal("bad_request", `${place} is not a string.`);
  }
  return found;
}

function list(found, place) {
  if (!Array.isArray(found)) {
    throw new Refusal("bad_request", `${place} is not an array.`);
  }
  return found;
}

function object(found, place) {
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new Refusal("bad_request", `${place} is not an object.`);
  }
  return found;
}

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
