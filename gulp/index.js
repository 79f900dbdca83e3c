/**
 * Nimbus Tasks in Gulp.
 *
 *   const nimbus = require("gulp-nimbus")(gulp);       every nimbus: task, for the command line
 *   gulp.series(build, nimbus.upload({ limit: 100 }))  the same as functions
 *   gulp.src("dist/**").pipe(nimbus())                 a stream that publishes what passes
 */

"use strict";

const { commandTree } = require("./lib/commands.js");
const { PageStream } = require("./lib/page-stream.js");
const { register } = require("./lib/register.js");
const { checkedSettings } = require("./lib/settings.js");

/** @typedef {import("./index.d.ts").Settings} Settings */

/** @param {Settings} settings */
function withSettings(settings) {
  const nimbus = (first, second) => {
    if (!isGulp(first)) {
      return new PageStream(settings, first);
    }
    const mine = withSettings({ ...settings, ...checkedSettings(second) });
    register(first, mine.settings);
    return mine;
  };
  // `apply` hides the function's own: it is the name of a command.
  const members = { settings, ...commandTree(settings) };
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(nimbus, name, { value, enumerable: name !== "settings", configurable: true });
  }
  return nimbus;
}

function isGulp(value) {
  return typeof value?.task === "function" && typeof value.src === "function";
}

module.exports = withSettings({});
