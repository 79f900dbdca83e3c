/**
 * What a key says: its kind (what stands before the first ":"), the namespace of that kind, and its second part,
 * which for most kinds is a project.
 */

import { KEY_BYTES, METADATA_BYTES, VALUE_BYTES } from "./limits.js";
import { fits } from "./utf8.js";

/** Where each kind belongs. Several kinds may share a namespace, and NIMBUS_KV may serve them all. */
const BINDINGS = {
  __proto__: null,
  user: "NIMBUS_USERS",
  projects: "NIMBUS_USERS",
  apikeys: "NIMBUS_USERS",
  email: "NIMBUS_EMAILS",
  project: "NIMBUS_PROJECTS",
  apikey: "NIMBUS_KEYS",
  session: "NIMBUS_SESSIONS",
  cache: "NIMBUS_CACHE",
  page: "NIMBUS_PAGES",
  batch: "NIMBUS_BATCHES",
  queue: "NIMBUS_QUEUE",
  status: "NIMBUS_STATUS",
  logs: "NIMBUS_LOGS",
};

const SHARED = "NIMBUS_KV";

/** Kinds that live in a project's Durable Object, where they can be compared and set. */
const SWAPPABLE = new Set(["queue", "batch", "status"]);

/** Kinds whose second part is a project, and so has an owner. */
const OWNED = new Set(["page", "status", "logs", "batch", "queue", "project"]);

const PROJECT = /^proj_[0-9a-f]{12}$/;

/** The Worker's own key: which store this is. Nobody else writes it, and no listing shows it. */
export const IDENTITY = "store:identity";

/** @param {string} key */
export function kindOf(key) {
  const colon = key.indexOf(":");
  return colon < 0 ? key : key.slice(0, colon);
}

/** @param {string} key @returns {string} "" where it has no second part */
export function secondPart(key) {
  return key.split(":", 2)[1] ?? "";
}

/** @param {string} key */
export const isSwappable = (key) => SWAPPABLE.has(kindOf(key));

/** The project that owns this key, "" where it is of a kind, or has a name, that belongs to no project. */
export function projectOf(key) {
  const second = secondPart(key);
  return OWNED.has(kindOf(key)) && PROJECT.test(second) ? second : "";
}

/** Whether every key that begins so has the same, complete second part. */
export function isWithinOne(prefix) {
  return prefix.split(":", 3).length === 3;
}

/** @returns {string} the binding of the namespace that holds keys of this kind, "" where this Worker has none */
export function bindingOf(env, kind) {
  if (kind === kindOf(IDENTITY)) {
    return homeOf(env);
  }
  const own = BINDINGS[kind];
  if (own && env[own]) {
    return own;
  }
  return env[SHARED] ? SHARED : "";
}

/** @returns {string} the binding of the namespace that this Worker's identity stands in */
export function homeOf(env) {
  return [SHARED, "NIMBUS_PAGES"].find((binding) => env[binding]) ?? "";
}

/** @returns {string[]} the bindings of all namespaces that can hold a key with this prefix */
export function bindingsOf(env, prefix) {
  if (prefix.includes(":")) {
    return [bindingOf(env, kindOf(prefix))].filter(Boolean);
  }
  const known = Object.keys(BINDINGS).filter((kind) => kind.startsWith(prefix));
  return [...new Set([...known.map((kind) => bindingOf(env, kind)), env[SHARED] ? SHARED : ""])].filter(Boolean);
}

/**
 * Why KV would refuse this write, "" where it would not. The same words as `refusal` in `nimbus_tasks/backends/kv/__init__.py`.
 * @param {string} key
 * @param {string} value
 * @param {string} metadata JSON, "" where there is none
 */
export function refusal(key, value, metadata) {
  if (!isKey(key)) {
    return `its key is not 1 to ${KEY_BYTES} bytes of UTF-8`;
  }
  if (!fits(value, VALUE_BYTES)) {
    return `its value takes more than ${VALUE_BYTES.toLocaleString("en")} bytes`;
  }
  if (!fits(metadata, METADATA_BYTES)) {
    return `its metadata takes more than ${METADATA_BYTES.toLocaleString("en")} bytes`;
  }
  return value.isWellFormed() && metadata.isWellFormed() ? "" : "its value is not UTF-8 text";
}

/** @param {string} key */
export function isKey(key) {
  return key !== "" && key !== "." && key !== ".." && key.isWellFormed() && fits(key, KEY_BYTES);
}
