/**
 * Writes what a Durable Object holds through to KV, where all other programs read it: a second after a write, each key
 * at most once a second, and again with backoff while KV fails.
 */

import { storeId } from "./identity.js";
import { inParallel, namespaceOf, optionsOf } from "./kv.js";
import { WAIT_MS } from "./table.js";

/** Keys in one round: an invocation may do 1,000 operations on KV. */
const ROUND_KEYS = 500;

/** Larger values are written one after the other: an isolate has 128 MB. */
const LARGE_BYTES = 2 * 1024 * 1024;

/** If an object dies in the middle of a round, the next round starts after this. */
const RESTART_MS = 60_000;

const LONGEST_DELAY_MS = 300_000;

export class Mirror {
  #env;
  #storage;
  #table;
  /** When the alarm is set, as far as this instance knows; saves setting it again for each write. */
  #alarm = Infinity;

  /**
   * @param {import("./kv.js").Env} env
   * @param {DurableObjectStorage} storage
   * @param {import("./table.js").Table} table
   */
  constructor(env, storage, table) {
    this.#env = env;
    this.#storage = storage;
    this.#table = table;
  }

  /** Set the alarm for the next key that is due. */
  async schedule() {
    const due = this.#table.nextDue();
    if (due !== null && due < this.#alarm) {
      this.#alarm = due;
      await this.#storage.setAlarm(due);
    }
  }

  /** Write the keys that are due: what the alarm does. */
  async round() {
    this.#alarm = Infinity;
    await this.#storage.setAlarm(Date.now() + RESTART_MS);
    if ((await storeId(this.#env)) !== this.#table.fact("store")) {
      // Another namespace is behind the Worker now. If this one returns, the first call to this object sets the alarm.
      await this.#storage.deleteAlarm();
      return;
    }
    const due = this.#table.due(Date.now(), ROUND_KEYS);
    const small = due.filter(({ bytes }) => bytes <= LARGE_BYTES);
    await inParallel(small, ({ key }) => this.#write(key));
    for (const { key } of due.filter(({ bytes }) => bytes > LARGE_BYTES)) {
      await this.#write(key);
    }
    this.#alarm = Infinity;
    if (this.#table.nextDue() === null) {
      await this.#storage.deleteAlarm();
    } else {
      await this.schedule();
    }
  }

  /** @param {string} key */
  async #write(key) {
    const row = this.#table.read(key);
    if (!row) {
      return;
    }
    const now = Date.now();
    try {
      await namespaceOf(this.#env, key).put(key, row.value, optionsOf(row.metadata));
      this.#table.mirrored(key, row.version, now);
    } catch (error) {
      console.error(`KV did not take a write: ${error instanceof Error ? error.message : error}`);
      this.#table.postpone(key, now, backoff);
    }
  }
}

/**
 * Return a delay that doubles with each failure, up to five minutes, with jitter.
 * @param {number} failures
 */
function backoff(failures) {
  const longest = Math.min(WAIT_MS * 2 ** failures, LONGEST_DELAY_MS);
  return Math.round(longest * (0.5 + Math.random() / 2));
}
