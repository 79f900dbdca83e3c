/** The source path of a file in a stream: part of its page's id, so it must be what `doit extract` gives it. */

"use strict";

const path = require("node:path");

const { NimbusError } = require("./errors.js");
const { projectFolder } = require("./settings.js");

/**
 * From the project's folder to where the file is now (`file.path`, not where it came from); with `folder`, to where
 * it will be there (`file.relative`).
 *
 * @param {{ path?: string, relative: string, cwd: string }} file a Vinyl
 * @param {{ cwd?: string }} settings
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

module.exports = { sourcePath };
