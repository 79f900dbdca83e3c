/** Who asks: the bearer of an API key, or of the admin secret. */

import { Refusal } from "./answers.js";
import { isKey } from "./keys.js";
import { namespaceOf } from "./namespaces.js";
import { Remembered } from "./remembered.js";
import { bytesOf, sha256 } from "./utf8.js";

/**
 * @typedef {object} Caller
 * @property {string} user the user id, "" for the admin
 * @property {boolean} admin
 */

/** An admin secret that can be guessed is none. */
const SECRET_LENGTH = 16;

/** One scheme, one space, at most 256 visible ASCII characters. */
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;

/** @type {Remembered<string>} digest of an API key -> its user */
const users = new Remembered();

/**
 * @param {Request} request
 * @param {Record<string, any>} env
 * @returns {Promise<Caller>}
 */
export async function authenticate(request, env) {
  const bearer = BEARER.exec(request.headers.get("Authorization") ?? "")?.[1];
  if (bearer !== undefined && (await isAdmin(bearer, env))) {
    return { user: "", admin: true };
  }
  const user = bearer !== undefined && (await userOf(bearer, env));
  if (!user) {
    // The same words whatever is wrong: they must not tell which keys exist.
    throw new Refusal("unauthorized", "This needs a valid API key.", { "WWW-Authenticate": "Bearer" });
  }
  return { user, admin: false };
}

/** Digests have one length, so comparing them takes the same time whatever differs. */
async function isAdmin(bearer, env) {
  const secret = env.NIMBUS_ADMIN_SECRET;
  if (typeof secret !== "string" || secret.length < SECRET_LENGTH) {
    return false;
  }
  const [given, known] = await Promise.all([digest(bearer), digest(secret)]);
  return crypto.subtle.timingSafeEqual(given, known);
}

const digest = (text) => crypto.subtle.digest("SHA-256", bytesOf(text));

async function userOf(bearer, env) {
  const name = await sha256(bytesOf(bearer));
  const known = users.get(name);
  if (known !== undefined) {
    return known;
  }
  const key = `apikey:sha256:${name}`;
  const record = parsed(await namespaceOf(env, key).get(key));
  const user = record?.active === true ? record.user_id : undefined;
  if (typeof user !== "string" || user === "" || !isKey(`projects:${user}`)) {
    return "";
  }
  users.set(env, name, user);
  return user;
}

/** @returns {any} undefined where it is not JSON */
export function parsed(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}
