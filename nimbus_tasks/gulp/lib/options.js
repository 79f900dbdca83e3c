/** Options of a task -> words for its command line, checked against those that it has. */

"use strict";

const { NimbusError } = require("./errors.js");
const { nearest } = require("./nearest.js");

/** @typedef {import("./tasks.js").Task} Task */

const FORMS = { boolean: "true or false", integer: "a whole number", string: "a text" };

/**
 * @param {Task} task
 * @param {Record<string, unknown>} given names as in JavaScript (dryRun) or as they are typed (dry-run)
 * @returns {string[]} such as ["--limit=100", "--dry-run"]
 */
function wordsOf(task, given = {}) {
  const words = [];
  for (const [name, value] of Object.entries(given)) {
    const option = optionOf(task, name);
    if (!option) {
      throw unknownOption(task, name);
    }
    if (value !== undefined && value !== null) {
      words.push(...wordOf(task, option, value));
    }
  }
  return words;
}

/** @param {Task} task @param {string} name */
function optionOf(task, name) {
  const typed = dashed(name);
  return task.options.find((option) => option.name === typed);
}

/** @param {Task} task @param {string} name @param {string} [more] what else may be done about it */
function unknownOption(task, name, more = "") {
  const meant = nearest(dashed(name), task.options.map((option) => option.name));
  const hint = meant ? ` Did you mean --${meant}?` : ` It has ${task.options.map((each) => `--${each.name}`).join(", ")}.`;
  return new NimbusError(`${task.name} has no option --${dashed(name)}.${hint}${more}`);
}

function wordOf(task, option, value) {
  if (option.type === "boolean") {
    const said = { true: true, false: false }[String(value)];
    if (said === undefined) {
      throw wrongValue(task, option, value);
    }
    return said ? [`--${option.name}`] : []; // each is off unless it is asked for
  }
  const text = String(value);
  const fits = option.type === "integer" ? /^-?\d+$/.test(text) : ["string", "number"].includes(typeof value);
  if (!fits || text.includes("\0")) {
    throw wrongValue(task, option, value);
  }
  return [`--${option.name}=${text}`];
}

function wrongValue(task, option, value) {
  const shown = JSON.stringify(String(value).slice(0, 60));
  return new NimbusError(`${task.name} --${option.name} must be ${FORMS[option.type]}, not ${shown}.`);
}

/** dryRun -> dry-run */
function dashed(name) {
  return name.replace(/_/g, "-").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

module.exports = { optionOf, unknownOption, wordsOf };
