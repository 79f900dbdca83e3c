/** A worker that computes the SHA-256 of files, so that the page stays responsive. */

/**
 * Bytes of a file that are hashed at once by the browser itself: 450 MB/s, where JavaScript has 120. It takes no file in
 * parts, so a larger one would be in memory as a whole.
 */
const WHOLE = 16 * 1024 * 1024;
/** Bytes of a larger file that are in memory at a time. */
const PART = 4 * 1024 * 1024;
const VENDORED = new URL("../../vendor/noble-hashes/sha2.js", import.meta.url).href;

self.addEventListener("message", async (/** @type {MessageEvent<{id: number, file: File}>} */ event) => {
  const { id, file } = event.data;
  try {
    const digest = file.size > WHOLE ? await digestInParts(file) : await digestWhole(file);
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    self.postMessage({ id, sha256, error: "" });
  } catch (error) {
    self.postMessage({ id, sha256: "", error: error instanceof Error ? error.name : "unknown" });
  }
});

/** @param {File} file */
async function digestWhole(file) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
}

/**
 * @param {File} file
 * @returns {Promise<Uint8Array>}
 */
async function digestInParts(file) {
  const { sha256 } = await import(VENDORED);
  const hash = sha256.create();
  for (let start = 0; start < file.size; start += PART) {
    hash.update(new Uint8Array(await file.slice(start, start + PART).arrayBuffer()));
  }
  return hash.digest();
}
