/**
 * Pages of names, in the order of their UTF-8 bytes.
 *
 * Keys within one project of a kind that its Durable Object holds are listed there, and so show what was written a
 * moment ago. All others are listed in KV, where one prefix may lie in several namespaces: their pages are merged.
 */

import { Refusal } from "./answers.js";
import { bindingOf, bindingsOf, IDENTITY, isSwappable, isWithinOne, kindOf, secondPart } from "./keys.js";
import { projectObject } from "./project.js";
import { byBytes, bytesOf } from "./utf8.js";

/**
 * @typedef {object} Page
 * @property {{name: string, metadata?: object}[]} keys
 * @property {string} cursor asks for the next page, "" at the end
 */

/**
 * Where a listing goes on.
 * @typedef {object} Place
 * @property {string} after the last name of the page before
 * @property {Record<string, string | null>} pages binding -> KV's cursor of the page in use; null: nothing more there
 */

/** @returns {Promise<Page>} */
export async function list({ env, store }, prefix, limit, cursor) {
  const place = decode(cursor);
  if (isSwappable(prefix) && isWithinOne(prefix)) {
    const { names, more } = await projectObject(env, store, secondPart(prefix)).list(prefix, place.after, limit);
    const keys = names.map(({ name, metadata }) => (metadata ? { name, metadata: JSON.parse(metadata) } : { name }));
    return { keys, cursor: more ? encode({ after: names.at(-1).name, pages: {} }) : "" };
  }
  return merge(env, prefix, limit, place);
}

/** One page of each namespace, and of all these names those that no later page can come before. */
async function merge(env, prefix, limit, place) {
  const bindings = bindingsOf(env, prefix);
  if (!bindings.length) {
    throw new Refusal("store_unavailable", "This Worker has no namespace bound for keys of that kind.");
  }
  const open = bindings.filter((binding) => place.pages[binding] !== null);
  const pages = await Promise.all(open.map((binding) => read(env, binding, prefix, limit, place)));
  const ends = pages.filter((page) => page.end !== undefined).map((page) => page.end);
  const end = ends.sort(byBytes)[0];
  const sure = pages.flatMap((page) => page.keys).filter(({ name }) => end === undefined || byBytes(name, end) <= 0);
  const keys = sure.sort((one, other) => byBytes(one.name, other.name)).slice(0, limit);
  const after = keys.length < sure.length || end === undefined ? (keys.at(-1)?.name ?? place.after) : end;
  const next = Object.fromEntries(bindings.map((binding) => [binding, null]));
  pages.forEach((page, at) => (next[open[at]] = cursorAfter(page, after)));
  return { keys, cursor: Object.values(next).every((at) => at === null) ? "" : encode({ after, pages: next }) };
}

/** KV's page, less the names that came before and those that a get would look for elsewhere. */
async function read(env, binding, prefix, limit, place) {
  const cursor = place.pages[binding] ?? "";
  const page = await env[binding].list({ prefix, limit, cursor: cursor || undefined }).catch(refuseCursor);
  const keys = page.keys.filter(({ name }) => isListed(env, binding, name) && byBytes(name, place.after) > 0);
  const found = keys.map(({ name, metadata }) => (metadata ? { name, metadata } : { name }));
  const end = page.list_complete ? undefined : (page.keys.at(-1)?.name ?? place.after);
  return { cursor, keys: found, end, next: page.list_complete ? null : page.cursor };
}

function isListed(env, binding, name) {
  return name !== IDENTITY && bindingOf(env, kindOf(name)) === binding;
}

/** KV's cursor that a namespace goes on from, once all names up to `after` are told. */
function cursorAfter({ cursor, keys, end, next }, after) {
  const last = end ?? keys.at(-1)?.name;
  return last === undefined || byBytes(last, after) <= 0 ? next : cursor;
}

function refuseCursor(error) {
  if (/\b400\b/.test(String(error))) {
    throw new Refusal("bad_request", "The cursor is not one that this listing gave.");
  }
  throw error;
}

/** @param {Place} place */
function encode(place) {
  const bytes = bytesOf(JSON.stringify(place));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @returns {Place} */
function decode(cursor) {
  if (cursor === "") {
    return { after: "", pages: {} };
  }
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")), (unit) => unit.charCodeAt(0));
    const { after, pages } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof after === "string" && Object.values(pages).every((at) => at === null || typeof at === "string")) {
      return { after, pages };
    }
  } catch {
    // told below
  }
  throw new Refusal("bad_request", "The cursor is not one that this listing gave.");
}
