/** The bytes of a Vinyl file, whether they are in memory or come as a stream. */

"use strict";

const { Readable } = require("node:stream");

const { NimbusError } = require("./errors.js");

/**
 * A stream can be read once: the file gets another one with the same bytes.
 *
 * @param {any} file a Vinyl with contents
 * @returns {Promise<Buffer>}
 */
async function bytesOf(file) {
  if (Buffer.isBuffer(file.contents)) {
    return file.contents;
  }
  const bytes = await read(file.contents);
  file.contents = Readable.from(bytes.length ? [bytes] : [], { objectMode: false });
  return bytes;
}

/** By its events: the streams of Gulp 4 are not iterable. */
function read(stream) {
  return new Promise((resolve, reject) => {
    const parts = [];
    stream.on("data", (part) => parts.push(Buffer.from(part)));
    stream.once("end", () => resolve(Buffer.concat(parts)));
    stream.once("error", reject);
    stream.once("close", () => reject(new NimbusError("The contents of a file ended early."))); // no matter after "end"
  });
}

module.exports = { bytesOf };
