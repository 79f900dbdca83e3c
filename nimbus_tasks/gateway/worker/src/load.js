/**
 * What one caller has under way in this isolate. More is answered 429, so that one API key can take neither the memory
 * nor the time that others need.
 */

import { Refusal } from "./answers.js";

/** A client with five slots has five requests of 8 MiB under way, whose JSON takes some more. */
const REQUESTS = 32;
const BYTES = 64 * 1024 * 1024;

/** A request that the runtime ended never ends here; it counts no longer than this. */
const LONGEST_MS = 300_000;

/** @type {Map<string, Set<Load>>} record of an API key, "" for the admin -> its requests under way */
const loads = new Map();

/** The load of one request, until `release`. */
export class Load {
  #key;
  #begun = Date.now();
  #bytes = 0;

  /** @param {string} key */
  constructor(key) {
    this.#key = key;
    const others = this.#underWay();
    if (others.size >= REQUESTS) {
      throw busy();
    }
    loads.set(key, others.add(this));
  }

  /** Count bytes of the body, all at once if its length is known. @param {number} bytes */
  take(bytes) {
    let [others, all] = [0, bytes];
    for (const load of this.#underWay()) {
      others += load === this ? 0 : load.#bytes;
      all += load.#bytes;
    }
    if (others > 0 && all > BYTES) {
      throw busy();
    }
    this.#bytes += bytes;
  }

  release() {
    const others = this.#underWay();
    others.delete(this);
    if (others.size === 0) {
      loads.delete(this.#key);
    }
  }

  /** @returns {Set<Load>} of this key */
  #underWay() {
    const others = loads.get(this.#key) ?? new Set();
    others.forEach((load) => Date.now() - load.#begun > LONGEST_MS && others.delete(load));
    return others;
  }
}

const busy = () =>
  new Refusal("rate_limited", "This API key has too much under way: send fewer requests at a time.", {
    "Retry-After": "1",
  });
