/** KV itself: which namespace holds a key, and parallel operations within Cloudflare's limit. */

import { Refusal } from "./answers.js";
import { IDENTITY, isOfKind, isPointer, kindOf, NAMESPACES, POINTERS } from "./keys.js";
import { CONNECTIONS } from "./limits.js";

/**
 * The Worker's bindings and variables.
 * @typedef {Record<string, any> & {
 *   NIMBUS_PROJECT: DurableObjectNamespace<import("./project.js").Project>,
 *   NIMBUS_ACCOUNT: DurableObjectNamespace<import("./account.js").Account>,
 *   NIMBUS_IDENTITY: DurableObjectNamespace<import("./identity.js").Identity>,
 *   NIMBUS_USAGE?: DurableObjectNamespace<import("./usage.js").Usage>,
 * }} Env
 */

const SHARED = "NIMBUS_KV";

/** @param {Env} env @param {string} key @returns {string} the binding for keys of this kind, "" if there is none */
export function bindingOf(env, key) {
  const kind = kindOf(key);
  if (kind === kindOf(IDENTITY)) {
    return homeOf(env);
  }
  const own = isPointer(key) ? POINTERS : NAMESPACES.get(kind);
  if (own && env[own]) {
    return own;
  }
  return env[SHARED] ? SHARED : "";
}

/** @param {Env} env @returns {string} the binding of the namespace that holds the store's id */
export function homeOf(env) {
  return [SHARED, "NIMBUS_PAGES"].find((binding) => env[binding]) ?? "";
}

/** @param {Env} env @param {string} prefix @returns {string[]} the bindings that can hold a key with this prefix */
export function bindingsOf(env, prefix) {
  if (prefix.includes(":") && isOfKind(prefix)) {
    return [bindingOf(env, prefix)].filter(Boolean);
  }
  const kinds = prefix.includes(":") ? [] : [...NAMESPACES.keys()].filter((kind) => kind.startsWith(prefix));
  const others = [POINTERS, SHARED].filter((binding) => env[binding]);
  return [...new Set([...kinds.map((kind) => bindingOf(env, kind)), ...others])].filter(Boolean);
}

/** @param {Env} env @param {string} key @returns {KVNamespace} */
export function namespaceOf(env, key) {
  const binding = bindingOf(env, key);
  if (!binding) {
    throw new Refusal("store_unavailable", "This Worker has no namespace bound for keys of that kind.");
  }
  return env[binding];
}

/** @param {string} metadata JSON, "" if there is none */
export function optionsOf(metadata) {
  return metadata === "" ? {} : { metadata: JSON.parse(metadata) };
}

/**
 * Act on each input, a few at a time.
 * @template Input, Result
 * @param {Input[]} inputs
 * @param {(input: Input) => Promise<Result>} act
 * @returns {Promise<Result[]>} in the order of the inputs
 */
export async function inParallel(inputs, act) {
  const results = new Array(inputs.length);
  const left = inputs.entries();
  const work = async () => {
    for (const [at, input] of left) {
      results[at] = await act(input);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  return results;
}
