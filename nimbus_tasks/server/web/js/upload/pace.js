/**
 * How fast to upload: how many files at once, how long to wait before a retry. Values and arithmetic only.
 *
 * Concurrency grows by one after GOOD_IN_A_ROW successes and is halved by a failure, as TCP does it (AIMD). A refusal for
 * too many requests stops all slots until the server's time is over.
 */

/** Successes in a row before one more file is sent at once. */
const GOOD_IN_A_ROW = 8;
/** Seconds before the first retry; each further one waits twice as long. */
const FIRST_DELAY = 1;
const LONGEST_DELAY = 60;

/** @typedef {{slots: number, most: number, good: number, pausedUntil: number}} Pace */

/**
 * @param {number} start files at once in the beginning
 * @param {number} most files at once at most
 * @returns {Pace}
 */
export function newPace(start, most) {
  return { slots: Math.min(start, most), most, good: 0, pausedUntil: 0 };
}

/**
 * @param {Pace} pace
 * @returns {Pace}
 */
export function afterSuccess(pace) {
  if (pace.good + 1 < GOOD_IN_A_ROW) return { ...pace, good: pace.good + 1 };
  return { ...pace, good: 0, slots: Math.min(pace.slots + 1, pace.most) };
}

/**
 * @param {Pace} pace
 * @returns {Pace}
 */
export function afterFailure(pace) {
  return { ...pace, good: 0, slots: Math.max(1, Math.floor(pace.slots / 2)) };
}

/**
 * @param {Pace} pace
 * @param {number} now milliseconds
 * @param {number} seconds that the server asks to wait
 * @returns {Pace}
 */
export function afterTooMany(pace, now, seconds) {
  return { ...afterFailure(pace), pausedUntil: Math.max(pace.pausedUntil, now + seconds * 1000) };
}

/**
 * @param {Pace} pace
 * @param {number} now milliseconds
 * @returns {number} milliseconds until requests may be sent; 0: now
 */
export function waitOf(pace, now) {
  return Math.max(0, pace.pausedUntil - now);
}

/**
 * @param {number} attempt 1 for the first retry
 * @param {number} random from 0 to 1: spreads the retries of many clients
 * @returns {number} milliseconds before a retry
 */
export function retryDelay(attempt, random) {
  const seconds = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempt - 1));
  return seconds * 1000 * (0.5 + random / 2);
}
