/** What one request may carry, and what KV takes (developers.cloudflare.com/kv/platform/limits). */

export const KEY_BYTES = 512;
export const VALUE_BYTES = 25 * 1024 * 1024;
export const METADATA_BYTES = 1024;

/** Bytes of a pointer: it names a file, and does not hold one. */
export const POINTER_BYTES = 64 * 1024;

/** Bytes of the values in a bulk answer, as in KV's own bulk read. */
export const ANSWER_BYTES = 25 * 1024 * 1024;

/** Bytes of a bulk body beside the values. */
export const OVERHEAD_BYTES = 1024 * 1024;

/** The body of a single put: a value of 25 MiB in which every character is escaped, and metadata. */
export const PUT_BODY_BYTES = 2 * VALUE_BYTES + OVERHEAD_BYTES;

/** A key in a list of keys, every byte of which is escaped as \\u0000. */
export const ESCAPED_KEY_BYTES = 6 * KEY_BYTES + 8;

/** Bytes of a list of keys beside the keys. */
export const ENVELOPE_BYTES = 1024;

/** Connections that one invocation may have open at a time. */
export const CONNECTIONS = 6;

/**
 * @typedef {object} Limits
 * @property {number} pairs writes in a bulk put
 * @property {number} bytes bytes of keys, values and metadata in a bulk put or swap; their JSON may take twice as many
 * @property {number} keys keys in a bulk get
 * @property {number} swaps writes in a bulk swap
 * @property {number} names names in a page of a listing
 */

/**
 * Return the limits of this Worker. Variables can lower them, because the free plan gives a request 10 ms of CPU.
 * @param {Record<string, unknown>} env
 * @returns {Limits}
 */
export function limitsOf(env) {
  const pairs = lowered(env.NIMBUS_LIMIT_PAIRS, 500);
  return {
    pairs,
    bytes: lowered(env.NIMBUS_LIMIT_BYTES, 8 * 1024 * 1024),
    keys: lowered(env.NIMBUS_LIMIT_KEYS, 100),
    swaps: pairs,
    names: 1000,
  };
}

/** @param {unknown} setting @param {number} most */
function lowered(setting, most) {
  const limit = Number(setting ?? most);
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, most) : most;
}
