/** What a request's URL and headers ask for, read strictly: a badly encoded key must not become another key. */

import { Refusal } from "./answers.js";
import { isKey, isProject } from "./keys.js";
import { KEY_BYTES } from "./limits.js";

const ETAG = /^"([0-9a-f]{64})"$/;

/** @param {URL} url of `/kv/{key}` @returns {string} */
export function keyIn(url) {
  const encoded = url.pathname.slice("/kv/".length);
  if (encoded.includes("/") || url.search !== "") {
    throw new Refusal("bad_request", "A key is percent-encoded in the path: / is %2F and ? is %3F.");
  }
  const key = decoded(encoded);
  if (!isKey(key)) {
    throw new Refusal("bad_request", `A key takes 1 to ${KEY_BYTES} bytes of UTF-8.`);
  }
  return key;
}

/**
 * @param {URL} url
 * @param {string[]} names of the parameters that exist
 * @returns {Record<string, string>} those that are given
 */
export function queryIn(url, names) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const parameter of url.search.slice(1).split("&").filter(Boolean)) {
    const [name = "", ...value] = parameter.split("=");
    if (!names.includes(name) || Object.hasOwn(found, name)) {
      throw new Refusal("bad_request", `The parameters are ${names.join(", ")}, each at most once.`);
    }
    found[name] = decoded(value.join("=").replaceAll("+", " "));
  }
  return found;
}

/**
 * The condition of a PUT, from `If-Match` or `If-None-Match`.
 * @param {Headers} headers
 * @returns {string | undefined} the digest of the value that must be there, "" for no value; undefined: no condition
 */
export function expectedBy(headers) {
  const match = headers.get("If-Match");
  const noneMatch = headers.get("If-None-Match");
  if (match === null && noneMatch === null) {
    return undefined;
  }
  if (match === null && noneMatch === "*") {
    return "";
  }
  const digest = noneMatch === null && ETAG.exec(match ?? "")?.[1];
  if (!digest) {
    const rule = 'If-Match takes the quoted SHA-256 of a value in hex, If-None-Match takes "*", and never both.';
    throw new Refusal("bad_request", rule);
  }
  return digest;
}

/**
 * The project that pointers are written and listed for.
 * @param {Headers} headers
 * @returns {string} "" if none is named
 */
export function projectIn(headers) {
  const project = headers.get("Nimbus-Project") ?? "";
  if (project !== "" && !isProject(project)) {
    throw new Refusal("bad_request", "Nimbus-Project takes the id of a project, such as proj_0123456789ab.");
  }
  return project;
}

/** @param {string} encoded */
function decoded(encoded) {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Refusal("bad_request", "The percent-encoding of the URL is not that of UTF-8.");
  }
}
