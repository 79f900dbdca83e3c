/** Sends a large file in parts, each to an address of its own. */

import { ApiError } from "../api.js";
import { send } from "./send.js";

/** @typedef {{partNumber: number, start: number, size: number, uploadUrl: string}} Part */

/** Parts that are sent at once. */
const AT_ONCE = 3;
const ATTEMPTS = 5;

/**
 * @param {Part[]} parts
 * @param {File} file
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 */
export async function sendInParts(parts, file, onSent, signal) {
  const sent = parts.map(() => 0);
  const left = [...parts.entries()];
  const sendNext = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [index, { start, size, uploadUrl: url }] = next;
      const note = (/** @type {number} */ bytes) => {
        sent[index] = bytes;
        onSent(sent.reduce((sum, each) => sum + each, 0));
      };
      await sendPart({ url, method: "PUT", headers: {} }, file.slice(start, start + size), note, signal);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendNext));
}

/**
 * @param {import("./send.js").Signed} signed
 * @param {Blob} part
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 */
async function sendPart(signed, part, onSent, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(signed, part, onSent, signal);
    } catch (error) {
      const isTransient = error instanceof ApiError && error.isTransient;
      if (signal.aborted || !isTransient || attempt >= ATTEMPTS) throw error;
    }
  }
}
