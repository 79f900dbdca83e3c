/** The tasks as functions: nimbus.batch.status({ batch }) makes a task for gulp.series. */

"use strict";

const { inJavaScript, wordsOf } = require("./options.js");
const { run } = require("./run.js");
const { tasks } = require("./tasks.js");

/** @typedef {import("./tasks.js").Task} Task */

/** @returns {Record<string, any>} such as { upload, batch: { list, status, ... } } */
function commandTree(settings) {
  const tree = {};
  for (const task of tasks) {
    const path = task.name.split(":").slice(1).map(inJavaScript);
    const last = path.pop();
    let place = tree;
    for (const part of path) {
      place[part] ??= {};
      place = place[part];
    }
    place[last] = Object.assign(command(task, settings), place[last]);
  }
  return tree;
}

/** @param {Task} task */
function command(task, settings) {
  const make = (options) => {
    if (typeof options === "function") {
      // gulp.series(build, nimbus.upload): Gulp calls it as a task, with its callback.
      return run(task, [], settings);
    }
    return named(task, async () => run(task, wordsOf(task, options), settings));
  };
  return named(task, make);
}

/** As Gulp prints it. Not `displayName`: an exported function would be registered by that. */
function named(task, action) {
  return Object.defineProperty(action, "name", { value: task.name });
}

module.exports = { commandTree };
