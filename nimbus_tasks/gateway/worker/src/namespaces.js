/** KV itself: which namespace holds a key, and many operations at once within Cloudflare's limit. */

import { Refusal } from "./answers.js";
import { bindingOf, kindOf } from "./keys.js";
import { LANES } from "./limits.js";

/** @param {Record<string, any>} env @param {string} key @returns {KVNamespace} */
export function namespaceOf(env, key) {
  const binding = bindingOf(env, kindOf(key));
  if (!binding) {
    throw new Refusal("store_unavailable", "This Worker has no namespace bound for keys of that kind.");
  }
  return env[binding];
}

/** @param {string} metadata JSON, "" where there is none */
export function optionsOf(metadata) {
  return metadata === "" ? {} : { metadata: JSON.parse(metadata) };
}

/**
 * Do something to each, a few at a time.
 * @template Input, Result
 * @param {Input[]} inputs
 * @param {(input: Input) => Promise<Result>} act
 * @returns {Promise<Result[]>} in the order of the inputs
 */
export async function inLanes(inputs, act) {
  const results = new Array(inputs.length);
  let next = 0;
  const lane = async () => {
    while (next < inputs.length) {
      const at = next++;
      results[at] = await act(inputs[at]);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}
