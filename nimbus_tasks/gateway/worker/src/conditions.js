/** `If-Match` and `If-None-Match` of a PUT: which value must be there for it to store its own. */

import { Refusal } from "./answers.js";

const ETAG = /^"([0-9a-f]{64})"$/;

/**
 * @param {Headers} headers
 * @returns {string | undefined} the digest that must be there, "" where nothing may be, undefined: no condition
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
  const digest = noneMatch === null && ETAG.exec(match)?.[1];
  if (!digest) {
    const rule = 'If-Match takes the quoted SHA-256 of a value in hex, If-None-Match takes "*", and never both.';
    throw new Refusal("bad_request", rule);
  }
  return digest;
}
