/** The settings for all commands: require("gulp-nimbus")(gulp, { ... }). */

"use strict";

const { resolve } = require("node:path");

const { NimbusError, nearest } = require("./errors.js");

/** @typedef {import("../index.d.ts").Settings} Settings */

const isPath = (/** @type {unknown} */ value) => typeof value === "string" && value !== "";

/** @type {Map<string, (value: unknown) => boolean>} */
const KNOWN = new Map([
  ["python", isPath],
  ["cwd", isPath],
  ["ownOptions", (value) => Array.isArray(value) && value.every((each) => typeof each === "string")],
]);

/** @param {Record<string, unknown>} [settings] @returns {Settings} */
function checkedSettings(settings = {}) {
  for (const [name, value] of Object.entries(settings)) {
    const isValid = KNOWN.get(name);
    if (!isValid) {
      const meant = nearest(name, [...KNOWN.keys()]);
      throw new NimbusError(`There is no setting ${name}.${meant ? ` Did you mean ${meant}?` : ""}`);
    }
    if (value !== undefined && !isValid(value)) {
      const form = name === "ownOptions" ? "a list of names" : "a path";
      throw new NimbusError(`The setting ${name} must be ${form}.`);
    }
  }
  return settings;
}

/** The project's folder. Gulp changes to the gulpfile's folder before it reads it. @param {Settings} settings */
function projectFolder({ cwd = "." }) {
  return resolve(cwd);
}

module.exports = { checkedSettings, projectFolder };
