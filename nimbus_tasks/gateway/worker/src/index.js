/** The gateway to KV that Nimbus Tasks publishes through: which request asks for what. README.md has the protocol. */

import { fromStore, json, Refusal, refused, text } from "./answers.js";
import { authenticate } from "./auth.js";
import { readKeys, readOn, readPairs, readPut, readSwaps } from "./body.js";
import { expectedBy } from "./conditions.js";
import { storeId } from "./identity.js";
import { isSwappable, projectOf, refusal } from "./keys.js";
import { KEY_BYTES, limitsOf, VALUE_BYTES } from "./limits.js";
import { list } from "./listing.js";
import { checkList, checkRead, checkWrite } from "./ownership.js";
import { get, getMany, put, putMany, swap, swapMany } from "./store.js";
import { keyIn, queryIn } from "./urls.js";
import { fits } from "./utf8.js";

export { Account } from "./account.js";
export { Identity } from "./identity.js";
export { Project } from "./project.js";

/** Which path takes which methods. `/kv/` stands for all keys. */
const ROUTES = {
  __proto__: null,
  "/": { GET: greet },
  "/bulk": { PUT: bulkPut },
  "/bulk/get": { POST: bulkGet },
  "/bulk/swap": { POST: bulkSwap },
  "/keys": { GET: listKeys },
  "/kv/": { GET: getOne, PUT: putOne },
};

export default {
  /** @param {Request} request @param {Record<string, any>} env */
  async fetch(request, env) {
    try {
      return await answer(request, env);
    } catch (error) {
      await readOn(request);
      return refused(fromStore(error));
    }
  },
};

async function answer(request, env) {
  const caller = await authenticate(request, env);
  const url = new URL(request.url);
  const methods = ROUTES[url.pathname.startsWith("/kv/") ? "/kv/" : url.pathname];
  if (!methods) {
    throw new Refusal("not_found", "There is nothing at this path.");
  }
  if (!Object.hasOwn(methods, request.method)) {
    const Allow = Object.keys(methods).join(", ");
    throw new Refusal("method_not_allowed", `This path takes ${Allow}.`, { Allow });
  }
  return methods[request.method]({ env, caller, store: await storeId(env) }, request, url);
}

/** @typedef {import("./ownership.js").Visit} Visit */

/** @param {Visit} visit */
async function greet({ env, caller, store }) {
  return json({ name: "nimbus-gateway", protocol: 1, store, ...caller, limits: limitsOf(env) });
}

async function getOne(visit, _request, url) {
  const key = keyIn(url);
  const unowned = await checkRead(visit, [key]);
  const found = unowned.size ? null : await get(visit, key);
  if (!found) {
    throw new Refusal("not_found", "There is nothing under this key.");
  }
  return text(found.value, found.digest ? { ETag: `"${found.digest}"` } : {});
}

async function putOne(visit, request, url) {
  const key = keyIn(url);
  const expected = expectedBy(request.headers);
  if (expected !== undefined && !isSwappable(key)) {
    throw new Refusal("bad_request", "Only queue:, batch: and status: keys can be compared and set.");
  }
  const pair = await readPut(request, key);
  const why = refusal(key, pair.value, pair.metadata);
  if (why) {
    throw new Refusal(fits(pair.value, VALUE_BYTES) ? "bad_request" : "too_large", `KV would refuse this: ${why}.`);
  }
  await checkWrite(visit, [pair]);
  if (expected === undefined) {
    await put(visit, pair);
    return json({ key });
  }
  const digest = await swap(visit, { ...pair, expected });
  if (!digest) {
    throw new Refusal("precondition_failed", "Another value is there: read it and try again.");
  }
  return json({ key }, { ETag: `"${digest}"` });
}

async function bulkPut(visit, request) {
  const { confirmed, failed } = await putMany(visit, await readPairs(request, limitsOf(visit.env)));
  return json({ confirmed, failed: Object.fromEntries(failed) });
}

async function bulkSwap(visit, request) {
  const { swapped, failed } = await swapMany(visit, await readSwaps(request, limitsOf(visit.env)));
  return json({ swapped, failed: Object.fromEntries(failed) });
}

async function bulkGet(visit, request) {
  const keys = await readKeys(request, limitsOf(visit.env));
  const unowned = await checkRead(visit, keys);
  const values = await getMany(visit, keys.filter((key) => !unowned.has(projectOf(key))));
  return json({ values: Object.fromEntries(keys.map((key) => [key, values.get(key) ?? null])) });
}

async function listKeys(visit, _request, url) {
  const { names } = limitsOf(visit.env);
  const { prefix = "", limit = String(names), cursor = "" } = queryIn(url, ["prefix", "limit", "cursor"]);
  if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > names) {
    throw new Refusal("bad_request", `limit is a number from 1 to ${names}.`);
  }
  if (!fits(prefix, KEY_BYTES)) {
    throw new Refusal("bad_request", `prefix takes at most ${KEY_BYTES} bytes.`);
  }
  const owned = await checkList(visit, prefix);
  return json(owned ? await list(visit, prefix, Number(limit), cursor) : { keys: [], cursor: "" });
}
