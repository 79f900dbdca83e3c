/** Options of a task -> words for its command line, checked against those that it has. */

"use strict";

const { NimbusError } = require("./errors.js");
const { nearest } = require("./nearest.js");

/** @typedef {import("./tasks.js").Task} Task */

const FORMS = { boolean: "true or false", integer: "a whole number", string: "a text" };

/**
 * @param {Task} task
 * @param {Record<string, unknown>} given names as in JavaScript (dryRun) or as they are typed (dry-run)
 * @param {(name: string) => string} [written] how errors write an option: as it is written where these were given
 * @returns {string[]} such as ["--limit=100", "--dry-run"]
 */
function wordsOf(task, given = {}, written = inJavaScript) {
  const words = [];
  for (const [name, value] of Object.entries(given)) {
    const option = optionOf(task, name);
    if (!option) {
      throw unknownOption(task, name, written);
    }
    if (value !== undefined && value !== null) {
      words.push(...wordOf(task, option, value, written));
    }
  }
  return words;
}

/** @param {Task} task @param {string} name */
function optionOf(task, name) {
  const typed = dashed(name);
  return task.options.find((option) => option.name === typed);
}

/**
 * @param {Task} task
 * @param {string} given the option as it was given, its dashes included
 * @param {(name: string) => string} written how errors write an option
 * @param {string} [more] what else may be done about it
 */
function unknownOption(task, given, written, more = "") {
  const names = [...task.options.map((option) => option.name), ...(task.alsoKnown ?? [])];
  const meant = nearest(dashed(given.replace(/^-+/, "")), names);
  const hint = meant ? ` Did you mean ${written(meant)}?` : ` It has ${names.map(written).join(", ")}.`;
  return new NimbusError(`${task.name} has no option ${given}.${hint}${more}`);
}

function wordOf(task, option, value, written) {
  if (option.type === "boolean") {
    const said = { true: true, false: false }[String(value)];
    if (said === undefined) {
      throw wrongValue(task, option, value, written);
    }
    return said ? [`--${option.name}`] : []; // each is off unless it is asked for
  }
  const text = String(value);
  const fits = option.type === "integer" ? /^-?\d+$/.test(text) : ["string", "number"].includes(typeof value);
  if (!fits || text.includes("\0")) {
    throw wrongValue(task, option, value, written);
  }
  return [`--${option.name}=${text}`];
}

function wrongValue(task, option, value, written) {
  const shown = JSON.stringify(String(value).slice(0, 60));
  return new NimbusError(`${task.name}: ${written(option.name)} must be ${FORMS[option.type]}, not ${shown}.`);
}

/** dryRun -> dry-run */
function dashed(name) {
  return name.replace(/_/g, "-").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** dry-run -> dryRun */
function inJavaScript(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

/** dry-run -> --dry-run */
function typed(name) {
  return `--${name}`;
}

module.exports = { inJavaScript, optionOf, typed, unknownOption, wordsOf };
