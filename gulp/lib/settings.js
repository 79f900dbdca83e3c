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
  ["classicDefaults", (value) => typeof value === "boolean"],
]);
/** @type {Record<string, string>} */
const FORMS = { ownOptions: "a list of names", classicDefaults: "true or false" };

/** What the classic uploader did unless told otherwise, by the task that has its name. */
const CLASSIC = new Map([["nimbus:upload", { limit: 100, delay: 200 }]]);

/** @param {Record<string, unknown>} [settings] @returns {Settings} */
function checkedSettings(settings = {}) {
  for (const [name, value] of Object.entries(settings)) {
    const isValid = KNOWN.get(name);
    if (!isValid) {
      const meant = nearest(name, [...KNOWN.keys()]);
      throw new NimbusError(`There is no setting ${name}.${meant ? ` Did you mean ${meant}?` : ""}`);
    }
    if (value !== undefined && !isValid(value)) {
      throw new NimbusError(`The setting ${name} must be ${FORMS[name] ?? "a path"}.`);
    }
  }
  return settings;
}

/** The project's folder. Gulp changes to the gulpfile's folder before it reads it. @param {Settings} settings */
function projectFolder({ cwd = "." }) {
  return resolve(cwd);
}

/** The defaults that differ from those of Nimbus Tasks. @param {string} task @param {Settings} settings */
function ownDefaults(task, { classicDefaults = false }) {
  return (classicDefaults && CLASSIC.get(task)) || {};
}

module.exports = { checkedSettings, ownDefaults, projectFolder };
