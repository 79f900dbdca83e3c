/** Which Python runs Nimbus Tasks. */

"use strict";

const { existsSync } = require("node:fs");
const { join } = require("node:path");

const { projectFolder } = require("./settings.js");

/** In a virtual environment: of this system, and of one with drives. */
const PLACES = [join(".venv", "bin", "python"), join(".venv", "Scripts", "python.exe")];

/**
 * The first of: the setting `python`, NIMBUS_PYTHON, the project's .venv, python3.
 *
 * @param {{ python?: string, cwd?: string }} settings
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {{ command: string, from: string }} the file or name, and who chose it
 */
function findPython(settings, environment = process.env) {
  if (settings.python) {
    return { command: settings.python, from: "the setting python" };
  }
  if (environment.NIMBUS_PYTHON) {
    return { command: environment.NIMBUS_PYTHON, from: "NIMBUS_PYTHON" };
  }
  const inProject = PLACES.map((place) => join(projectFolder(settings), place)).find(existsSync);
  return inProject ? { command: inProject, from: "the project's .venv" } : { command: "python3", from: "the PATH" };
}

module.exports = { findPython };
