/**
 * Failed authentications of each address. After a few in a minute they are answered 429. Requests with a valid key pass
 * nevertheless, because many users may share an address. Each isolate counts what it sees.
 */

import { Refusal } from "./answers.js";

const FAILURES = 20;
const PERIOD_MS = 60_000;

/** Addresses that are remembered; the one whose first failure is the oldest goes first. */
const ADDRESSES = 10_000;

/** @type {Map<string, {failures: number, until: number}>} */
const counts = new Map();

/**
 * Count a request without a valid key.
 * @param {Request} request
 * @throws {Refusal} there were too many
 */
export function countFailure(request) {
  const address = addressOf(request);
  if (address === "") {
    return;
  }
  const now = Date.now();
  const known = counts.get(address);
  const count = known && now < known.until ? known : { failures: 0, until: now + PERIOD_MS };
  count.failures++;
  if (count !== known) {
    counts.delete(address); // so that it becomes the newest
    counts.set(address, count);
    dropOldest();
  }
  if (count.failures > FAILURES) {
    const seconds = Math.max(1, Math.ceil((count.until - now) / 1000));
    const why = "Too many requests from this address had no valid API key.";
    throw new Refusal("rate_limited", why, { "Retry-After": String(seconds) });
  }
}

function dropOldest() {
  const [oldest] = counts.keys();
  if (counts.size > ADDRESSES && oldest !== undefined) {
    counts.delete(oldest);
  }
}

/**
 * Return the sender's address as Cloudflare names it, "" where there is none: on a local runtime.
 * @param {Request} request
 */
function addressOf(request) {
  const address = request.headers.get("CF-Connecting-IP") ?? "";
  if (!address.includes(":")) {
    return address.slice(0, 45);
  }
  // The first 64 bits of an IPv6 address are the customer's, who chooses the others.
  const [head = "", tail = ""] = address.slice(0, 45).toLowerCase().split("::");
  const groups = [head, tail].map((part) => part.split(":").filter(Boolean));
  const [first = [], last = []] = groups;
  const zeros = address.includes("::") ? Array(Math.max(0, 8 - first.length - last.length)).fill("0") : [];
  return [...first, ...zeros, ...last].slice(0, 4).join(":");
}
