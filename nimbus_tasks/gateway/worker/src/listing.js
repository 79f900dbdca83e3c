/**
 * Pages of names, in the order of their UTF-8 bytes.
 *
 * Keys of one project, of a kind that its Durable Object holds, and its pointers are listed there and include the latest
 * writes. All others are listed in KV, where one prefix may lie in several namespaces: their pages are merged.
 */

import { Refusal } from "./answers.js";
import { IDENTITY, isOfKind, isSwappable, isWithinOne, secondPart } from "./keys.js";
import { bindingOf, bindingsOf } from "./kv.js";
import { projectObject } from "./project.js";
import { byBytes, bytesOf } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/**
 * @typedef {object} Page
 * @property {{name: string, metadata?: unknown}[]} keys
 * @property {string} cursor asks for the next page, "" at the end
 */

/**
 * Where a listing continues: what a cursor encodes.
 * @typedef {object} Position
 * @property {string} after the last name of the previous page
 * @property {Record<string, string | null>} pages binding -> KV's cursor of the current page; null: no more there
 */

/**
 * A page of one namespace.
 * @typedef {object} Part
 * @property {string} cursor of this page
 * @property {Page["keys"]} keys
 * @property {string | undefined} end the last name it covers, undefined if there are no more names
 * @property {string | null} next cursor of the next page, null if there is none
 */

/**
 * @param {import("./ownership.js").Visit} visit
 * @param {string} prefix
 * @param {number} limit
 * @param {string} cursor
 * @returns {Promise<Page>}
 */
export async function list({ env, store, project }, prefix, limit, cursor) {
  const position = decode(cursor);
  if (project && !isOfKind(prefix)) {
    return pageOf(await projectObject(env, store, project).listPointers(prefix, position.after, limit));
  }
  if (isOfKind(prefix) && isSwappable(prefix) && isWithinOne(prefix)) {
    return pageOf(await projectObject(env, store, secondPart(prefix)).list(prefix, position.after, limit));
  }
  return merge(env, prefix, limit, position);
}

/**
 * @param {{names: {name: string, metadata: string}[], more: boolean}} listed by a Durable Object
 * @returns {Page}
 */
function pageOf({ names, more }) {
  const keys = names.map(({ name, metadata }) => (metadata ? { name, metadata: JSON.parse(metadata) } : { name }));
  return { keys, cursor: more ? encode({ after: names.at(-1)?.name ?? "", pages: {} }) : "" };
}

/**
 * Read one page of each namespace, and return the names that no later page can come before.
 * @param {Env} env
 * @param {string} prefix
 * @param {number} limit
 * @param {Position} position
 * @returns {Promise<Page>}
 */
async function merge(env, prefix, limit, position) {
  const bindings = bindingsOf(env, prefix);
  if (!bindings.length) {
    throw new Refusal("store_unavailable", "This Worker has no namespace bound for keys of that kind.");
  }
  const open = bindings.filter((binding) => position.pages[binding] !== null);
  const parts = await Promise.all(open.map((binding) => read(env, binding, prefix, limit, position)));
  const end = parts.flatMap((part) => part.end ?? []).sort(byBytes)[0];
  const certain = parts.flatMap((part) => part.keys).filter(({ name }) => end === undefined || byBytes(name, end) <= 0);
  const keys = certain.sort((one, other) => byBytes(one.name, other.name)).slice(0, limit);
  const after = keys.length < certain.length || end === undefined ? (keys.at(-1)?.name ?? position.after) : end;
  /** @type {Position["pages"]} */
  const pages = Object.fromEntries(bindings.map((binding) => [binding, null]));
  open.forEach((binding, at) => (pages[binding] = cursorAfter(parts[at], after)));
  return { keys, cursor: Object.values(pages).every((next) => next === null) ? "" : encode({ after, pages }) };
}

/**
 * Read KV's page, without names of earlier pages and names that a get would look for in another namespace.
 * @param {Env} env
 * @param {string} binding
 * @param {string} prefix
 * @param {number} limit
 * @param {Position} position
 * @returns {Promise<Part>}
 */
async function read(env, binding, prefix, limit, position) {
  const cursor = position.pages[binding] ?? "";
  /** @type {KVNamespace} */
  const namespace = env[binding];
  const page = await namespace.list({ prefix, limit, cursor: cursor || undefined }).catch(refuseCursor);
  const listed = page.keys.filter(({ name }) => isListed(env, binding, name) && byBytes(name, position.after) > 0);
  const keys = listed.map(({ name, metadata }) => (metadata ? { name, metadata } : { name }));
  if (page.list_complete) {
    return { cursor, keys, end: undefined, next: null };
  }
  return { cursor, keys, end: page.keys.at(-1)?.name ?? position.after, next: page.cursor };
}

/** @param {Env} env @param {string} binding @param {string} name */
function isListed(env, binding, name) {
  return name !== IDENTITY && bindingOf(env, name) === binding;
}

/**
 * Return the cursor a namespace continues from once all names up to `after` are returned.
 * @param {Part} part
 * @param {string} after
 */
function cursorAfter({ cursor, keys, end, next }, after) {
  const last = end ?? keys.at(-1)?.name;
  return last === undefined || byBytes(last, after) <= 0 ? next : cursor;
}

/** @param {unknown} error @returns {never} */
function refuseCursor(error) {
  if (/\b400\b/.test(String(error))) {
    throw badCursor();
  }
  throw error;
}

const badCursor = () => new Refusal("bad_request", "The cursor is not one that this listing gave.");

/** @param {Position} position */
function encode(position) {
  const bytes = bytesOf(JSON.stringify(position));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** @param {string} cursor @returns {Position} */
function decode(cursor) {
  if (cursor === "") {
    return { after: "", pages: {} };
  }
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (unit) => unit.charCodeAt(0));
    const { after, pages } = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
    if (typeof after === "string" && Object.values(pages).every((at) => at === null || typeof at === "string")) {
      return { after, pages };
    }
  } catch {
    // Refused below.
  }
  throw badCursor();
}
