/**
 * JSON taken apart while it comes. What is parsed at a time is small, so that a large body blocks no other request, and
 * takes no more memory than its texts: a few bytes outside of texts (`{},`) can become an object of a hundred.
 */

import { Refusal } from "./answers.js";

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** Bytes outside of texts in one item: one with indented metadata has fewer. */
const ITEM_BYTES = 16 * 1024;

/** Bytes around the items: a comma and white space for each. */
const FRAME_BYTES = 64 * 1024;

/**
 * Take the objects and arrays apart that lie at one depth of a body (0: the body itself, 1: the entries of an array).
 * @param {AsyncIterable<Uint8Array>} chunks
 * @param {number} depth
 * @param {(item: unknown, at: number) => Promise<void> | void} take is given each of them, and may refuse
 * @returns {Promise<unknown>} the body, with an empty object in the place of each item
 */
export async function readItems(chunks, depth, take) {
  const frame = new Piece();
  let item = frame; // not within an item
  let [level, count, outside] = [0, 0, 0];
  let [inText, escaped] = [false, false];
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (inText) {
        if (escaped) {
          escaped = false;
        } else if (byte === QUOTE) {
          inText = false;
        } else {
          escaped = byte === BACKSLASH;
        }
        continue;
      }
      if (++outside > ITEM_BYTES && item !== frame) {
        throw unusual();
      }
      if (byte === QUOTE) {
        inText = true;
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (level++ === depth && item === frame) {
          frame.add(chunk.subarray(from, at));
          [item, from, outside] = [new Piece(), at, 0];
        }
      } else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --level === depth && item !== frame) {
        item.add(chunk.subarray(from, at + 1));
        await take(item.parsed(), count++);
        frame.add(EMPTY);
        [item, from] = [frame, at + 1];
      }
    }
    item.add(chunk.subarray(from));
    if (frame.bytes > FRAME_BYTES) {
      throw unusual();
    }
  }
  if (item !== frame) {
    item.parsed(); // it has no end, so that this refuses it
  }
  return frame.parsed();
}

const EMPTY = new Uint8Array([OPEN_OBJECT, CLOSE_OBJECT]);

const unusual = () => new Refusal("bad_request", "The body has more JSON beside its texts than this request needs.");

/** A part of the body, or a small one as a whole, decoded while it comes. */
export class Piece {
  bytes = 0;
  #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  /** @type {string[]} */
  #texts = [];

  /** @param {Uint8Array} bytes */
  add(bytes) {
    this.bytes += bytes.byteLength;
    this.#texts.push(decoded(() => this.#decoder.decode(bytes, { stream: true })));
  }

  /** @returns {unknown} */
  parsed() {
    this.#texts.push(decoded(() => this.#decoder.decode()));
    try {
      return JSON.parse(this.#texts.join(""));
    } catch {
      throw new Refusal("bad_request", "The body is not JSON.");
    }
  }
}

/** @param {() => string} decode */
function decoded(decode) {
  try {
    return decode();
  } catch {
    throw new Refusal("bad_request", "The body is not UTF-8.");
  }
}
