/**
 * Nimbus Tasks in Gulp.
 *
 *   const nimbus = require("gulp-nimbus")(gulp);       registers every nimbus: task for the command line
 *   gulp.series(build, nimbus.upload({ limit: 100 }))  the same tasks as functions
 *   gulp.src("dist/**").pipe(nimbus())                 a stream that publishes each page that passes
 */

"use strict";

const { PageStream } = require("./lib/page-stream.js");
const { register } = require("./lib/register.js");
const { checkedSettings } = require("./lib/settings.js");
const { commandTree } = require("./lib/tasks.js");

/** @typedef {import("./index.d.ts").Settings} Settings */

/** @param {Settings} settings @returns {import("./index.d.ts").Nimbus} */
function withSettings(settings) {
  const nimbus = (/** @type {any} */ first, /** @type {any} */ second) => {
    if (!isGulp(first)) {
      return new PageStream(settings, first);
    }
    const combined = { ...settings, ...checkedSettings(second) };
    register(first, combined);
    return withSettings(combined);
  };
  // defineProperty, because `apply` is a command and a member of every function.
  for (const [name, value] of Object.entries(commandTree(settings))) {
    Object.defineProperty(nimbus, name, { value, enumerable: true, configurable: true });
  }
  return /** @type {any} */ (nimbus);
}

/** @param {any} value */
function isGulp(value) {
  return typeof value?.task === "function" && typeof value.src === "function";
}

module.exports = withSettings({});
