/** What a gulpfile may say once for all commands: require("gulp-nimbus")(gulp, { ... }). */

"use strict";

const { resolve } = require("node:path");

const { NimbusError } = require("./errors.js");
const { nearest } = require("./nearest.js");

const KNOWN = {
  __proto__: null,
  python: (value) => typeof value === "string" && value !== "",
  cwd: (value) => typeof value === "string" && value !== "",
  ownOptions: (value) => Array.isArray(value) && value.every((each) => typeof each === "string"),
};

/** @param {Record<string, unknown>} [settings] */
function checkedSettings(settings = {}) {
  for (const [name, value] of Object.entries(settings)) {
    if (!KNOWN[name]) {
      const meant = nearest(name, Object.keys(KNOWN));
      throw new NimbusError(`There is no setting ${name}.${meant ? ` Did you mean ${meant}?` : ""}`);
    }
    if (value !== undefined && !KNOWN[name](value)) {
      const form = name === "ownOptions" ? "a list of names" : "a path";
      throw new NimbusError(`The setting ${name} must be ${form}.`);
    }
  }
  return settings;
}

/** The project's folder: Gulp goes to that of the gulpfile before it reads it. */
function projectFolder({ cwd = "." }) {
  return resolve(cwd);
}

module.exports = { checkedSettings, projectFolder };
