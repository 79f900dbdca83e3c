/** The gateway to KV that Nimbus Tasks publishes through: its routes. README.md describes the protocol. */

import { json, Refusal, refusalFor, refused, text } from "./answers.js";
import { authenticate } from "./auth.js";
import { answerContent, isContent } from "./content.js";
import { discardBody, readKeys, readPairs, readPut, readSwaps } from "./body.js";
import { storeId } from "./identity.js";
import { isSwappable, refusal } from "./keys.js";
import { KEY_BYTES, limitsOf, VALUE_BYTES } from "./limits.js";
import { list } from "./listing.js";
import { Load } from "./load.js";
import { checkEach, checkList, checkRead, checkWrite } from "./ownership.js";
import { expectedBy, keyIn, projectIn, queryIn } from "./request.js";
import { get, getMany, put, putMany, swapMany, swapOne } from "./store.js";
import { countRequest } from "./usage.js";
import { fits } from "./utf8.js";

export { Account } from "./account.js";
export { Identity } from "./identity.js";
export { Project } from "./project.js";
export { Usage } from "./usage.js";

/** @typedef {import("./kv.js").Env} Env */
/** @typedef {import("./ownership.js").Visit} Visit */
/** @typedef {(visit: Visit, request: Request, url: URL) => Promise<Response>} Handler */

/** @type {Map<string, Map<string, Handler>>} path -> method -> handler; `/kv/` stands for all keys */
const ROUTES = new Map([
  ["/", new Map([["GET", greet]])],
  ["/bulk", new Map([["PUT", bulkPut]])],
  ["/bulk/get", new Map([["POST", bulkGet]])],
  ["/bulk/swap", new Map([["POST", bulkSwap]])],
  ["/keys", new Map([["GET", listKeys]])],
  ["/kv/", new Map([["GET", getOne], ["PUT", putOne]])], // prettier-ignore
]);

export default {
  /** @param {Request} request @param {Env} env @param {ExecutionContext} context */
  async fetch(request, env, context) {
    try {
      const url = new URL(request.url);
      if (isContent(url)) {
        return await answerContent(request, env, context, url);
      }
      const caller = await authenticate(request, env);
      if (caller.readsOnly) {
        throw new Refusal("forbidden", "This API key reads pages by their address, and nothing else.");
      }
      const load = new Load(caller.key);
      const answered = answer(request, env, context, caller, load).finally(() => load.release());
      context.waitUntil(answered.catch(() => {})); // or a disconnected client would never release its load
      return await answered;
    } catch (error) {
      await discardBody(request);
      return refused(refusalFor(error));
    }
  },
};

/**
 * @param {Request} request
 * @param {Env} env
 * @param {ExecutionContext} context
 * @param {import("./auth.js").Caller} caller
 * @param {Load} load
 */
async function answer(request, env, context, caller, load) {
  const store = await storeId(env);
  if (caller.key) {
    countRequest(env, context, store, caller.key);
  }
  const url = new URL(request.url);
  const methods = ROUTES.get(url.pathname.startsWith("/kv/") ? "/kv/" : url.pathname);
  if (!methods) {
    throw new Refusal("not_found", "There is nothing at this path.");
  }
  const handler = methods.get(request.method);
  if (!handler) {
    const Allow = [...methods.keys()].join(", ");
    throw new Refusal("method_not_allowed", `This path takes ${Allow}.`, { Allow });
  }
  return handler({ env, caller, store, load, project: projectIn(request.headers) }, request, url);
}

/** @type {Handler} */
async function greet({ env, caller: { user, admin }, store }) {
  return json({ name: "nimbus-gateway", protocol: 1, store, user, admin, limits: limitsOf(env), pointers: true });
}

/** @type {Handler} */
async function getOne(visit, _request, url) {
  const key = keyIn(url);
  const unowned = await checkRead(visit, [key]);
  const found = unowned.size ? null : await get(visit, key);
  if (!found) {
    throw new Refusal("not_found", "There is nothing under this key.");
  }
  return text(found.value, found.digest ? { ETag: `"${found.digest}"` } : {});
}

/** @type {Handler} */
async function putOne(visit, request, url) {
  const key = keyIn(url);
  const expected = expectedBy(request.headers);
  if (expected !== undefined && !isSwappable(key)) {
    throw new Refusal("bad_request", "Only queue:, batch: and status: keys and pointers can be compared and set.");
  }
  await checkRead(visit, [key]); // before a large body is read
  const pair = await readPut(request, key, visit.load);
  const why = refusal(pair);
  if (why) {
    throw new Refusal(fits(pair.value, VALUE_BYTES) ? "bad_request" : "too_large", `KV would refuse this: ${why}.`);
  }
  await checkWrite(visit, [pair]);
  if (expected === undefined) {
    await put(visit, pair);
    return json({ key });
  }
  const digest = await swapOne(visit, { ...pair, expected });
  if (!digest) {
    throw new Refusal("precondition_failed", "Another value is there: read it and try again.");
  }
  return json({ key }, { ETag: `"${digest}"` });
}

/** @type {Handler} */
async function bulkPut(visit, request) {
  const { confirmed, failed } = await putMany(
    visit,
    await readPairs(request, limitsOf(visit.env), visit.load, checkEach(visit)),
  );
  return json({ confirmed, failed: Object.fromEntries(failed) });
}

/** @type {Handler} */
async function bulkGet(visit, request) {
  const keys = await readKeys(request, limitsOf(visit.env), visit.load);
  const unowned = await checkRead(visit, keys);
  const readable = keys.filter((key) => !unowned.has(key));
  const values = await getMany(visit, readable);
  return json({ values: Object.fromEntries(keys.map((key) => [key, values.get(key) ?? null])) });
}

/** @type {Handler} */
async function bulkSwap(visit, request) {
  const { swapped, failed } = await swapMany(
    visit,
    await readSwaps(request, limitsOf(visit.env), visit.load, checkEach(visit)),
  );
  return json({ swapped, failed: Object.fromEntries(failed) });
}

/** @type {Handler} */
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
