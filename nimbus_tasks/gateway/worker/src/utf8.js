/** Text as KV sees it: UTF-8 bytes, their length, digest and order. */

const encoder = new TextEncoder();

/** @param {string} text */
export const bytesOf = (text) => encoder.encode(text);

/**
 * Whether the text takes at most this many bytes. Short texts are not encoded to find out.
 * @param {string} text
 * @param {number} bytes
 */
export function fits(text, bytes) {
  return text.length * 3 <= bytes || (text.length <= bytes && bytesOf(text).byteLength <= bytes);
}

/** @param {Uint8Array} bytes @returns {Promise<string>} 64 hex digits */
export async function sha256(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string | null} text @returns {any} the JSON value, undefined if it is not JSON */
export function parsed(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

/**
 * Compare names by their UTF-8 bytes, as KV orders them. JavaScript's own order puts U+10000 before U+E000.
 * @param {string} one
 * @param {string} other
 */
export function byBytes(one, other) {
  const common = Math.min(one.length, other.length);
  for (let at = 0; at < common; at++) {
    const left = one.charCodeAt(at);
    const right = other.charCodeAt(at);
    if (left !== right) {
      return rank(left) - rank(right);
    }
  }
  return one.length - other.length;
}

/** @param {number} unit of UTF-16; surrogates stand for the highest characters */
function rank(unit) {
  if (unit < 0xd800) {
    return unit;
  }
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
