/** Who sends a request: the bearer of an API key, or of the admin secret. */

import { Refusal } from "./answers.js";
import { Cache } from "./cache.js";
import { countFailure } from "./failures.js";
import { isKey } from "./keys.js";
import { namespaceOf } from "./kv.js";
import { bytesOf, parsed, sha256 } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/**
 * @typedef {object} Caller
 * @property {string} user the user id, "" for the admin
 * @property {boolean} admin
 * @property {string} key of the record of the API key, "" for the admin
 * @property {boolean} readsOnly whether it only reads pages by address
 */

/** A shorter admin secret could be guessed, and counts as none. */
const SECRET_LENGTH = 16;

/** One scheme, one space, at most 256 visible ASCII characters. */
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;

/** The `scope` of an API key that only reads pages by address. */
const CONTENT = "content";

/** @typedef {{user: string, readsOnly: boolean}} Holder */

/** @type {Cache<Holder>} record of an API key -> who holds it */
const holders = new Cache();

/**
 * @param {Request} request
 * @param {Env} env
 * @returns {Promise<Caller>}
 */
export async function authenticate(request, env) {
  const bearer = BEARER.exec(request.headers.get("Authorization") ?? "")?.[1];
  if (bearer !== undefined && (await isAdmin(bearer, env))) {
    return { user: "", admin: true, key: "", readsOnly: false };
  }
  const key = bearer === undefined ? "" : `apikey:sha256:${await sha256(bytesOf(bearer))}`;
  const holder = key ? await holderOf(key, env) : null;
  if (!holder) {
    countFailure(request);
    // The same message for every cause: it must not tell which keys exist.
    throw new Refusal("unauthorized", "This needs a valid API key.", { "WWW-Authenticate": "Bearer" });
  }
  return { ...holder, admin: false, key };
}

/**
 * Compare digests: they have one length, so the comparison takes the same time whatever differs.
 * @param {string} bearer
 * @param {Env} env
 */
async function isAdmin(bearer, env) {
  const secret = env.NIMBUS_ADMIN_SECRET;
  if (typeof secret !== "string" || secret.length < SECRET_LENGTH) {
    return false;
  }
  const [given, known] = await Promise.all([digest(bearer), digest(secret)]);
  return crypto.subtle.timingSafeEqual(given, known);
}

/** @param {string} text */
const digest = (text) => crypto.subtle.digest("SHA-256", bytesOf(text));

/** @param {string} key @param {Env} env @returns {Promise<Holder | null>} null if the key is not valid */
async function holderOf(key, env) {
  const known = holders.get(key);
  if (known !== undefined) {
    return known;
  }
  const record = parsed(await namespaceOf(env, key).get(key));
  const user = record?.active === true ? record.user_id : undefined;
  if (typeof user !== "string" || user === "" || !isKey(`projects:${user}`)) {
    return null;
  }
  const holder = { user, readsOnly: record.scope === CONTENT };
  holders.set(env, key, holder);
  return holder;
}
