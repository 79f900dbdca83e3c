/** A small memory of this isolate, for what may be a little old: who a key belongs to, who owns a project. */

const ENTRIES = 1000;

/** Seconds that auth and ownership may be remembered; 0: not at all. */
function secondsOf(env) {
  const wanted = Number(env.NIMBUS_CACHE_SECONDS ?? 30);
  return wanted >= 0 ? wanted : 30;
}

/** @template Value */
export class Remembered {
  /** @type {Map<string, {value: Value, until: number}>} in the order in which they were learnt */
  #entries = new Map();

  /** @returns {Value | undefined} */
  get(name) {
    const entry = this.#entries.get(name);
    return entry && Date.now() < entry.until ? entry.value : undefined;
  }

  /** @param {Record<string, unknown>} env @param {string} name @param {Value} value */
  set(env, name, value) {
    this.#entries.delete(name);
    this.#entries.set(name, { value, until: Date.now() + secondsOf(env) * 1000 });
    if (this.#entries.size > ENTRIES) {
      this.#entries.delete(this.#entries.keys().next().value);
    }
  }

  delete(name) {
    this.#entries.delete(name);
  }
}
