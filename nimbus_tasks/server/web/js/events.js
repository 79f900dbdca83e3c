/** Live counts of the user's assets: server-sent events, and polling where they do not get through. */

import { api } from "./api.js";

/**
 * @typedef {{total: number, uploaded: number, processed: number, embedded: number, failed: number, uploading: number,
 *   processing: number, embedding: number, ready: number}} Stats
 */

/** Failures in a row before events are given up for polling. */
const FAILURES = 3;
const POLL_EVERY = 5000;

/**
 * @param {(stats: Stats) => void} onStats
 * @returns {() => void} stops it
 */
export function followStats(onStats) {
  let failures = 0;
  let timer = 0;
  /** @type {EventSource | null} */
  let source = new EventSource("/api/sse/processing-updates");
  source.addEventListener("open", () => (failures = 0));
  source.addEventListener("progress", (event) => onStats(JSON.parse(event.data).stats));
  source.addEventListener("error", () => {
    // The browser reconnects by itself, with Last-Event-ID, unless the server refuses.
    failures += 1;
    if (failures < FAILURES && source?.readyState !== EventSource.CLOSED) return;
    source?.close();
    source = null;
    void poll();
  });
  async function poll() {
    try {
      onStats((await api("/api/processing-stats")).stats);
    } catch {
      // The next poll may succeed.
    }
    timer = setTimeout(() => void poll(), POLL_EVERY);
  }
  return () => {
    source?.close();
    clearTimeout(timer);
  };
}
