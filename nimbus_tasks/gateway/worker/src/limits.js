/** How much one request may carry, and what KV takes (developers.cloudflare.com/kv/platform/limits). */

export const KEY_BYTES = 512;
export const VALUE_BYTES = 25 * 1024 * 1024;
export const METADATA_BYTES = 1024;

/** A bulk answer, in bytes of its values: what KV's own bulk read gives. */
export const ANSWER_BYTES = 25 * 1024 * 1024;

/** The body of a single put: a value of 25 MiB, with each character escaped. */
export const PUT_BODY_BYTES = 64 * 1024 * 1024;

/** What surrounds the values of a bulk body. */
export const SLACK_BYTES = 1024 * 1024;

/** Connections that Cloudflare lets one invocation have open at once. */
export const LANES = 6;

/**
 * @typedef {object} Limits
 * @property {number} pairs writes in one bulk put
 * @property {number} bytes bytes of keys, values and metadata in one bulk put; JSON may escape them to twice as many
 * @property {number} keys keys in one bulk get
 * @property {number} swaps writes in one bulk swap
 * @property {number} names names in one page of a listing
 */

/**
 * The limits of this Worker. Its variables can lower them, for the free plan gives a request 10 ms of CPU; never raise.
 * @param {Record<string, unknown>} env
 * @returns {Limits}
 */
export function limitsOf(env) {
  const pairs = lowered(env.NIMBUS_LIMIT_PAIRS, 500);
  return {
    pairs,
    swaps: pairs,
    bytes: lowered(env.NIMBUS_LIMIT_BYTES, 8 * 1024 * 1024),
    keys: lowered(env.NIMBUS_LIMIT_KEYS, 100),
    names: 1000,
  };
}

function lowered(setting, most) {
  const wanted = Number(setting ?? most);
  return Number.isInteger(wanted) && wanted > 0 ? Math.min(wanted, most) : most;
}
