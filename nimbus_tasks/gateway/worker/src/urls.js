/** What a URL says, read strictly: percent-encoding that is none must not become another key. */

import { Refusal } from "./answers.js";
import { isKey } from "./keys.js";
import { KEY_BYTES } from "./limits.js";

/** @param {URL} url of `/kv/{key}` @returns {string} */
export function keyIn(url) {
  const written = url.pathname.slice("/kv/".length);
  if (written.includes("/") || url.search !== "") {
    throw new Refusal("bad_request", "A key is percent-encoded in the path: / is %2F and ? is %3F.");
  }
  const key = decoded(written);
  if (!isKey(key)) {
    throw new Refusal("bad_request", `A key takes 1 to ${KEY_BYTES} bytes of UTF-8.`);
  }
  return key;
}

/**
 * @param {URL} url
 * @param {string[]} names the parameters that there are
 * @returns {Record<string, string>} those that are given
 */
export function queryIn(url, names) {
  const found = {};
  for (const parameter of url.search.slice(1).split("&").filter(Boolean)) {
    const [name, ...value] = parameter.split("=");
    if (!names.includes(name) || Object.hasOwn(found, name)) {
      throw new Refusal("bad_request", `The parameters are ${names.join(", ")}, each at most once.`);
    }
    found[name] = decoded(value.join("=").replaceAll("+", " "));
  }
  return found;
}

function decoded(written) {
  try {
    return decodeURIComponent(written);
  } catch {
    throw new Refusal("bad_request", "The percent-encoding of the URL is not that of UTF-8.");
  }
}
