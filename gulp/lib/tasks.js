/**
 * The tasks and their options, and the tasks as functions: nimbus.batch.status({ batch }) makes a task for gulp.series.
 *
 * tasks.json is generated from the Python tasks.
 */

"use strict";

const { inJavaScript, wordsOf } = require("./options.js");
const { run } = require("./process.js");
const catalogue = require("../tasks.json");

/** @typedef {import("./settings.js").Settings} Settings */

/**
 * @typedef {object} Option
 * @property {string} name with dashes, as on the command line
 * @property {"boolean" | "integer" | "string"} type
 * @property {string} description
 */

/**
 * @typedef {object} Task
 * @property {string} name in Gulp: nimbus:upload
 * @property {string} runs the task of Nimbus Tasks that it runs
 * @property {string} description
 * @property {Option[]} options
 * @property {string[]} [alsoKnown] other valid options, for error messages
 */

const { tasks, stream } = /** @type {{ tasks: Task[], stream: Task }} */ (catalogue);

/** @param {Settings} settings @returns {Record<string, any>} such as { upload, batch: { list, status, ... } } */
function commandTree(settings) {
  /** @type {Record<string, any>} */
  const tree = {};
  for (const task of tasks) {
    const names = task.name.split(":").slice(1).map(inJavaScript);
    const last = /** @type {string} */ (names.pop());
    const place = names.reduce((folder, name) => (folder[name] ??= {}), tree);
    place[last] = Object.assign(command(task, settings), place[last]);
  }
  return tree;
}

/** @param {Task} task @param {Settings} settings */
function command(task, settings) {
  const make = (/** @type {any} */ options) => {
    if (typeof options === "function") {
      // gulp.series(build, nimbus.upload): Gulp calls it as a task, with its callback.
      return run(task, wordsOf(task, settings), settings);
    }
    return named(task, async () => run(task, wordsOf(task, settings, options), settings));
  };
  return named(task, make);
}

/**
 * Set the name that Gulp prints. Not `displayName`: Gulp registers exported functions under that.
 *
 * @template {Function} Action
 * @param {Task} task
 * @param {Action} action
 */
function named(task, action) {
  return Object.defineProperty(action, "name", { value: task.name });
}

module.exports = { commandTree, stream, tasks };
