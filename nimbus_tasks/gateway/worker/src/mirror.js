/**
 * Writes what a Durable Object holds through to KV, where every other program reads it: a second after a write, each
 * key at most once a second, and for ever again where KV fails.
 */

import { storeId } from "./identity.js";
import { inLanes, namespaceOf, optionsOf } from "./namespaces.js";
import { WAIT_MS } from "./table.js";

/** Keys in one round: an invocation may do 1,000 operations on KV. */
const ROUND_KEYS = 500;

/** Values larger than this go one after the other: an isolate has 128 MB. */
const LARGE_BYTES = 2 * 1024 * 1024;

/** Should an object die in the middle of a round, the next one starts after this. */
const RESCUE_MS = 60_000;

const LONGEST_DELAY_MS = 300_000;

export class Mirror {
  #env;
  #storage;
  #table;
  /** When the alarm rings, as far as this instance knows; saves setting it again for each write. */
  #armed = Infinity;

  /**
   * @param {Record<string, any>} env
   * @param {DurableObjectStorage} storage
   * @param {import("./table.js").Table} table
   */
  constructor(env, storage, table) {
    this.#env = env;
    this.#storage = storage;
    this.#table = table;
  }

  /** See to it that the alarm rings when the next key is due. */
  async arm() {
    const due = this.#table.nextDue();
    if (due !== null && due < this.#armed) {
      this.#armed = due;
      await this.#storage.setAlarm(due);
    }
  }

  /** One round: what the alarm does. */
  async round() {
    this.#armed = Infinity;
    await this.#storage.setAlarm(Date.now() + RESCUE_MS);
    if ((await storeId(this.#env)) !== this.#table.fact("store")) {
      // Another namespace is behind the Worker now. Should this one come back, the first call to this object arms it.
      await this.#storage.deleteAlarm();
      return;
    }
    const due = this.#table.due(Date.now(), ROUND_KEYS);
    await inLanes(due.filter(({ bytes }) => bytes <= LARGE_BYTES), ({ key }) => this.#write(key));
    for (const { key } of due.filter(({ bytes }) => bytes > LARGE_BYTES)) {
      await this.#write(key);
    }
    this.#armed = Infinity;
    if (this.#table.nextDue() === null) {
      await this.#storage.deleteAlarm();
    } else {
      await this.arm();
    }
  }

  async #write(key) {
    const { value, metadata, version } = this.#table.read(key);
    const now = Date.now();
    try {
      await namespaceOf(this.#env, key).put(key, value, optionsOf(metadata));
      this.#table.mirrored(key, version, now);
    } catch (error) {
      console.error(`KV did not take a write through: ${error instanceof Error ? error.message : error}`);
      this.#table.postpone(key, now, backOff);
    }
  }
}

/** Twice as long after each failure, up to five minutes, and never in step with other objects. */
function backOff(failures) {
  const longest = Math.min(WAIT_MS * 2 ** failures, LONGEST_DELAY_MS);
  return Math.round(longest * (0.5 + Math.random() / 2));
}
