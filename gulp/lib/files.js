/** The files of a Gulp stream: their source paths and their bytes. */

"use strict";

const path = require("node:path");
const { Readable } = require("node:stream");

const { NimbusError } = require("./errors.js");
const { projectFolder } = require("./settings.js");

/**
 * What we need of a Vinyl file.
 * @typedef {object} File
 * @property {string} [path]
 * @property {string} relative
 * @property {string} cwd
 * @property {Buffer | NodeJS.ReadableStream | null} contents
 * @property {import("../index.d.ts").PageResult} [nimbus]
 */

/**
 * Return the source path of a page. It is part of the page's id, so it must equal the path that `doit extract` finds:
 * from the project's folder to where the file is now (`file.path`); with `folder`, to where it will be there
 * (`file.relative`).
 *
 * @param {File} file
 * @param {import("./settings.js").Settings} settings
 * @param {string} [folder]
 * @returns {string} with / between folders
 */
function sourcePath(file, settings, folder) {
  if (!file.path) {
    throw new NimbusError("A file in the stream has no path, so it is no page.");
  }
  const root = projectFolder(settings);
  const place = folder === undefined ? path.resolve(file.cwd, file.path) : path.resolve(root, folder, file.relative);
  const found = path.relative(root, place);
  if (!found || found.split(path.sep)[0] === ".." || path.isAbsolute(found)) {
    const hint = 'Publish files after dest("dist"), or say where they go: nimbus({ folder: "dist" })';
    throw new NimbusError(`${place} is outside the project ${root}. ${hint}`);
  }
  return found.split(path.sep).join("/");
}

/**
 * Return the bytes of a file. A stream can be read only once, so the file gets a new one with the same bytes.
 *
 * @param {File} file
 * @param {Buffer | NodeJS.ReadableStream} contents of the file
 * @returns {Promise<Buffer>}
 */
async function bytesOf(file, contents) {
  if (Buffer.isBuffer(contents)) {
    return contents;
  }
  const bytes = await read(contents);
  file.contents = Readable.from(bytes.length ? [bytes] : [], { objectMode: false });
  return bytes;
}

/**
 * Read by events, because the streams of Gulp 4 are not iterable.
 *
 * @param {NodeJS.ReadableStream} stream
 * @returns {Promise<Buffer>}
 */
function read(stream) {
  return new Promise((resolve, reject) => {
    /** @type {Buffer[]} */
    const parts = [];
    stream.on("data", (part) => parts.push(Buffer.from(part)));
    stream.once("end", () => resolve(Buffer.concat(parts)));
    stream.once("error", reject);
    // After "end" this has no effect.
    stream.once("close", () => reject(new NimbusError("The contents of a file ended early.")));
  });
}

module.exports = { bytesOf, sourcePath };
