/** One task in a Python process, with the terminal as it is. */

"use strict";

const { startNimbus } = require("./child.js");

/**
 * @param {import("./tasks.js").Task} task
 * @param {string[]} words
 * @param {import("../index.d.ts").Settings} settings
 * @returns {Promise<void>} rejected with a NimbusError where the exit status is not 0
 */
function run(task, words, settings) {
  return startNimbus(task.name, [task.runs, ...words], settings, "inherit").ended;
}

module.exports = { run };
