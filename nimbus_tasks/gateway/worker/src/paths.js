/**
 * The path of a page on its site, as `route:` records have it. `nimbus_tasks/html/extract/addresses.py` writes the same:
 * `path_on_site`.
 */

import { bytesOf, sha256 } from "./utf8.js";

/** Longer paths make no key of KV: `route_name` in `nimbus_tasks/model/records.py`. */
const LONGEST = 480;

/** A slash, a backslash or a NUL within a name. */
const NOT_IN_PATH = /%(?:2f|5c|00)/i;
const NOT_BELOW = /\/\/|\\|\/\.{1,2}(?:\/|$)/;
const CONTROL = /[\0-\x1f\x7f]/; // eslint-disable-line no-control-regex
/** What a path holds as it is, beside what `encodeURIComponent` leaves. */
const PLAIN = /%(?:24|26|2B|2C|2F|3A|3B|3D|40)/g;

/**
 * Return a path as its page's record has it, however it is percent-encoded; "" where it names no page.
 * @param {string} path
 */
export function pathOnSite(path) {
  if (!path.startsWith("/") || NOT_IN_PATH.test(path)) {
    return "";
  }
  try {
    const plain = decodeURIComponent(path);
    if (NOT_BELOW.test(plain) || CONTROL.test(plain)) {
      return "";
    }
    return encodeURIComponent(plain.replace(/\/index\.html?$/, "/")).replace(PLAIN, decodeURIComponent);
  } catch {
    return ""; // not UTF-8
  }
}

/** The last part of the key of a path's route. @param {string} path @returns {Promise<string>} */
export async function routeName(path) {
  return path.length <= LONGEST ? path : `sha256:${await sha256(bytesOf(path))}`;
}
