/**
 * The parts of a key: its kind (before the first ":"), and its second part, which for most kinds is a project; and
 * which keys and values KV accepts. The keys of pointers, `{group}:{variant}:latest`, have no kind.
 */

import { KEY_BYTES, METADATA_BYTES, POINTER_BYTES, VALUE_BYTES } from "./limits.js";
import { fits } from "./utf8.js";

/** The namespace of each kind. Several kinds may share one, and NIMBUS_KV serves those that have none of their own. */
export const NAMESPACES = new Map([
  ["user", "NIMBUS_USERS"],
  ["projects", "NIMBUS_USERS"],
  ["apikeys", "NIMBUS_USERS"],
  ["email", "NIMBUS_EMAILS"],
  ["project", "NIMBUS_PROJECTS"],
  ["apikey", "NIMBUS_KEYS"],
  ["session", "NIMBUS_SESSIONS"],
  ["cache", "NIMBUS_CACHE"],
  ["page", "NIMBUS_PAGES"],
  ["route", "NIMBUS_PAGES"],
  ["batch", "NIMBUS_BATCHES"],
  ["queue", "NIMBUS_QUEUE"],
  ["status", "NIMBUS_STATUS"],
  ["logs", "NIMBUS_LOGS"],
  ["asset", "NIMBUS_ASSETS"],
]);

/** The namespace of pointers. */
export const POINTERS = "NIMBUS_POINTERS";

/** Kinds that live in a project's Durable Object, where they can be compared and set. */
const SWAPPABLE = new Set(["queue", "batch", "status"]);

/** Kinds whose second part is a project, which has an owner. */
const OWNED = new Set(["page", "route", "status", "logs", "batch", "queue", "project", "asset"]);

const PROJECT = /^proj_[0-9a-f]{12}$/;

const POINTER = /^[a-z0-9_-]{1,64}:[a-z0-9_-]{1,64}:latest$/;

/** The key of this store's id. Only the Worker writes it, and no listing shows it. */
export const IDENTITY = "store:identity";

/** @param {string} key */
export function kindOf(key) {
  const colon = key.indexOf(":");
  return colon < 0 ? key : key.slice(0, colon);
}

/** @param {string} key @returns {string} "" if there is none */
export function secondPart(key) {
  return key.split(":", 2)[1] ?? "";
}

/** @param {string} text */
export const isProject = (text) => PROJECT.test(text);

/** @param {string} key */
export const isPointer = (key) => POINTER.test(key) && !isOfKind(key);

/** @param {string} key or a prefix @returns {boolean} whether it begins with a kind of record, and is no pointer's */
export const isOfKind = (key) => NAMESPACES.has(kindOf(key)) || kindOf(key) === kindOf(IDENTITY);

/** @param {string} key */
export const isSwappable = (key) => SWAPPABLE.has(kindOf(key)) || isPointer(key);

/** @param {string} key that can be swapped @returns {string} the name of its Durable Object in a store */
export const objectNameOf = (key) => (isPointer(key) ? key : secondPart(key));

/** @param {string} key @returns {string} the project that it belongs to, "" if it belongs to none */
export function projectOf(key) {
  const second = secondPart(key);
  return OWNED.has(kindOf(key)) && isProject(second) ? second : "";
}

/** @param {string} prefix @returns {boolean} whether all keys with this prefix have the same, complete second part */
export function isWithinOne(prefix) {
  return prefix.split(":", 3).length === 3;
}

/**
 * Return why KV would refuse a write, "" if it would not. Same text as `refusal` in `nimbus_tasks/backends/kv/__init__.py`.
 * @param {import("./body.js").Pair} pair
 */
export function refusal({ key, value, metadata }) {
  if (!isKey(key)) {
    return `its key is not 1 to ${KEY_BYTES} bytes of UTF-8`;
  }
  if (!fits(value, VALUE_BYTES)) {
    return `its value takes more than ${VALUE_BYTES.toLocaleString("en")} bytes`;
  }
  if (isPointer(key) && !fits(value, POINTER_BYTES)) {
    return `a pointer takes at most ${POINTER_BYTES.toLocaleString("en")} bytes`;
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
