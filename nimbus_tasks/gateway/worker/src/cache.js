/** A small cache in this isolate, for what may be a little out of date: who a key belongs to, who owns a project. */

const ENTRIES = 1000;

/**
 * @param {Record<string, unknown>} env
 * @returns {number} how long entries are valid, in ms; 0: not at all
 */
function lifetimeOf(env) {
  const seconds = Number(env.NIMBUS_CACHE_SECONDS ?? 30);
  return (seconds >= 0 ? seconds : 30) * 1000;
}

/** @template Value */
export class Cache {
  /** @type {Map<string, {value: Value, until: number}>} the oldest first */
  #entries = new Map();

  /** @param {string} name @returns {Value | undefined} */
  get(name) {
    const entry = this.#entries.get(name);
    return entry && Date.now() < entry.until ? entry.value : undefined;
  }

  /** @param {Record<string, unknown>} env @param {string} name @param {Value} value */
  set(env, name, value) {
    this.#entries.delete(name);
    this.#entries.set(name, { value, until: Date.now() + lifetimeOf(env) });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES) {
        break;
      }
      this.#entries.delete(oldest);
    }
  }

  /** @param {string} name */
  delete(name) {
    this.#entries.delete(name);
  }
}
