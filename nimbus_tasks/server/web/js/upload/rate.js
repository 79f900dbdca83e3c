/** How fast bytes arrive, over the last seconds. */

/** Milliseconds over which the rate is taken, and after which it says something. */
const RATE_OF = 10_000;
const RATE_AFTER = 3000;

export class Rate {
  constructor() {
    /** @type {{time: number, bytes: number}[]} of the last seconds */
    this._samples = [];
  }

  /** Begin anew: nothing is sent now. */
  reset() {
    this._samples = [];
  }

  /**
   * @param {number} time milliseconds
   * @param {number} bytes that were sent until then
   * @returns {number} bytes a second; 0 where nothing can be said
   */
  add(time, bytes) {
    this._samples.push({ time, bytes });
    while ((this._samples[0]?.time ?? time) < time - RATE_OF) this._samples.shift();
    const first = this._samples[0];
    const passed = first ? time - first.time : 0;
    return first && passed >= RATE_AFTER ? ((bytes - first.bytes) / passed) * 1000 : 0;
  }
}
