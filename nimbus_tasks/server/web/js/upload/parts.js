/** Sends a large file in parts, each to an address of its own. */

import { ApiError } from "../api.js";
import { put } from "./put.js";

/** @typedef {{size: number, urls: string[]}} Parts size: bytes of each part but the last */

/** Parts that are sent at once. */
const AT_ONCE = 3;
const ATTEMPTS = 5;

/**
 * @param {Parts} parts
 * @param {File} file
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 */
export async function putInParts(parts, file, onSent, signal) {
  const sent = parts.urls.map(() => 0);
  const left = [...parts.urls.entries()];
  const sendNext = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [index, url] = next;
      const part = file.slice(index * parts.size, (index + 1) * parts.size);
      const note = (/** @type {number} */ bytes) => {
        sent[index] = bytes;
        onSent(sent.reduce((sum, each) => sum + each, 0));
      };
      await putPart({ url, method: "PUT", headers: {} }, part, note, signal);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendNext));
}

/**
 * @param {import("./put.js").Signed} signed
 * @param {Blob} part
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 */
async function putPart(signed, part, onSent, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await put(signed, part, onSent, signal);
    } catch (error) {
      const isTransient = error instanceof ApiError && error.isTransient;
      if (signal.aborted || !isTransient || attempt >= ATTEMPTS) throw error;
    }
  }
}
