/** A worker that computes the SHA-256 of files one by one, so that the page stays responsive. */

/**
 * Bytes that are in memory at a time. A file that fits is hashed by the browser itself: 450 MB/s, where JavaScript has 120.
 * It takes nothing in parts, so larger files are JavaScript's.
 */
const PART = 16 * 1024 * 1024;
const VENDORED = new URL("../../vendor/noble-hashes/sha2.js", import.meta.url).href;

/**
 * Files are read into the same memory again and again. New buffers are freed late in a worker: those of 100 files of 5 MB
 * were all in memory in the end.
 */
let memory = new ArrayBuffer(PART);
/** @type {Promise<void>} */
let last = Promise.resolve();

self.addEventListener("message", (/** @type {MessageEvent<{id: number, file: File}>} */ event) => {
  last = last.then(() => answer(event.data));
});

/** @param {{id: number, file: File}} asked */
async function answer({ id, file }) {
  try {
    const digest = file.size > PART ? await digestInParts(file) : await digestWhole(file);
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    self.postMessage({ id, sha256, error: "" });
  } catch (error) {
    if (!memory.byteLength) memory = new ArrayBuffer(PART); // the stream that failed has kept it
    self.postMessage({ id, sha256: "", error: error instanceof Error ? error.name : "unknown" });
  }
}

/** @param {File} file */
async function digestWhole(file) {
  const { value } = await partsOf(file).next();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", value ?? new Uint8Array()));
}

/**
 * @param {File} file
 * @returns {Promise<Uint8Array>}
 */
async function digestInParts(file) {
  const { sha256 } = await import(VENDORED);
  const hash = sha256.create();
  for await (const part of partsOf(file)) hash.update(part);
  return hash.digest();
}

/**
 * @param {File} file
 * @returns {AsyncGenerator<Uint8Array<ArrayBuffer>>} each part is good until the next one is asked for
 */
async function* partsOf(file) {
  const reader = byteReader(file);
  for (let start = 0; start < file.size; start += PART) {
    if (reader) yield await fill(reader);
    else yield new Uint8Array(await file.slice(start, start + PART).arrayBuffer());
  }
}

/**
 * @param {File} file
 * @returns {ReadableStreamBYOBReader | null} null where the browser's files cannot be read into given memory
 */
function byteReader(file) {
  try {
    return file.stream().getReader({ mode: "byob" });
  } catch {
    return null;
  }
}

/**
 * Fill the memory with what comes next.
 * @param {ReadableStreamBYOBReader} reader
 */
async function fill(reader) {
  for (let filled = 0; ;) {
    const { value, done } = await reader.read(new Uint8Array(memory, filled));
    if (value) memory = value.buffer;
    filled += value?.byteLength ?? 0;
    if (done || filled === PART) return new Uint8Array(memory, 0, filled);
  }
}
