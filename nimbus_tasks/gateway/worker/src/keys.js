/**
 * The parts of a key: its kind (before the first ":"), and its second part, which for most kinds is a project; and
 * which keys and values KV accepts.
 */

import { KEY_BYTES, METADATA_BYTES, VALUE_BYTES } from "./limits.js";
import { fits } from "./utf8.js";

/** Kinds that live in a project's Durable Object, where they can be compared and set. */
const SWAPPABLE = new Set(["queue", "batch", "status"]);

/** Kinds whose second part is a project, which has an owner. */
const OWNED = new Set(["page", "route", "status", "logs", "batch", "queue", "project"]);

const PROJECT = /^proj_[0-9a-f]{12}$/;

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
export const isSwappable = (key) => SWAPPABLE.has(kindOf(key));

/** @param {string} key @returns {string} the project that it belongs to, "" if it belongs to none */
export function projectOf(key) {
  const second = secondPart(key);
  return OWNED.has(kindOf(key)) && PROJECT.test(second) ? second : "";
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
  if (!fits(metadata, METADATA_BYTES)) {
    return `its metadata takes more than ${METADATA_BYTES.toLocaleString("en")} bytes`;
  }
  return value.isWellFormed() && metadata.isWellFormed() ? "" : "its value is not UTF-8 text";
}

/** @param {string} key */
export function isKey(key) {
  return key !== "" && key !== "." && key !== ".." && key.isWellFormed() && fits(key, KEY_BYTES);
}
