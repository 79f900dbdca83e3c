/** The tasks and their options, as tasks.json has them: that file is made from the Python tasks. */

"use strict";

const { tasks, stream } = require("../tasks.json");

/**
 * @typedef {object} Option
 * @property {string} name with dashes, as it is typed
 * @property {"boolean" | "integer" | "string"} type
 * @property {string} description
 */

/**
 * @typedef {object} Task
 * @property {string} name what Gulp's users type: nimbus:upload
 * @property {string} runs the task of Nimbus Tasks that it runs
 * @property {string} description
 * @property {Option[]} options
 * @property {string[]} [alsoKnown] options that are taken before: errors name them too
 */

module.exports = {
  /** @type {Task[]} */ tasks,
  /** @type {Task} the one behind the stream */ stream,
};
