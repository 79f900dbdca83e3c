/** From the options of a task to the words of its command line, checked. */

"use strict";

const { NimbusError, nearest } = require("./errors.js");
const { ownDefaults } = require("./settings.js");

/** @typedef {import("./tasks.js").Task} Task */
/** @typedef {import("./tasks.js").Option} Option */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {(name: string) => string} Style how errors write an option */

const FORMS = { boolean: "true or false", integer: "a whole number", string: "a text" };

/**
 * @param {Task} task
 * @param {Settings} settings
 * @param {Record<string, unknown>} given names as in JavaScript (dryRun) or on the command line (dry-run)
 * @param {Style} [style]
 * @returns {string[]} such as ["--limit=100", "--dry-run"]
 */
function wordsOf(task, settings, given = {}, style = inJavaScript) {
  const words = [];
  for (const [name, value] of Object.entries(ownDefaults(task.name, settings))) {
    if (given[name] === undefined || given[name] === null) {
      words.push(`--${name}=${value}`);
    }
  }
  for (const [name, value] of Object.entries(given)) {
    const option = optionOf(task, name);
    if (!option) {
      throw unknownOption(task, name, style);
    }
    if (value !== undefined && value !== null) {
      words.push(...wordOf(task, option, value, style));
    }
  }
  return words;
}

/** @param {Task} task @param {string} name */
function optionOf(task, name) {
  const typed = withDashes(name);
  return task.options.find((option) => option.name === typed);
}

/**
 * @param {Task} task
 * @param {string} given the option as it was given, with its dashes
 * @param {Style} style
 * @param {string} [more] another next step
 */
function unknownOption(task, given, style, more = "") {
  const names = [...task.options.map((option) => option.name), ...(task.alsoKnown ?? [])];
  const meant = nearest(withDashes(given.replace(/^-+/, "")), names);
  const hint = meant ? ` Did you mean ${style(meant)}?` : ` It has ${names.map(style).join(", ")}.`;
  return new NimbusError(`${task.name} has no option ${given}.${hint}${more}`);
}

/** @param {Task} task @param {Option} option @param {unknown} value @param {Style} style */
function wordOf(task, option, value, style) {
  const text = String(value);
  if (option.type === "boolean") {
    if (text !== "true" && text !== "false") {
      throw wrongValue(task, option, text, style);
    }
    return text === "true" ? [`--${option.name}`] : []; // flags are off by default
  }
  const fits = option.type === "integer" ? /^-?\d+$/.test(text) : ["string", "number"].includes(typeof value);
  if (!fits || text.includes("\0")) {
    throw wrongValue(task, option, text, style);
  }
  return [`--${option.name}=${text}`];
}

/** @param {Task} task @param {Option} option @param {string} value @param {Style} style */
function wrongValue(task, option, value, style) {
  const shown = JSON.stringify(value.slice(0, 60));
  return new NimbusError(`${task.name}: ${style(option.name)} must be ${FORMS[option.type]}, not ${shown}.`);
}

/** dryRun -> dry-run @param {string} name */
function withDashes(name) {
  return name.replace(/_/g, "-").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** dry-run -> dryRun @param {string} name */
function inJavaScript(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

/** dry-run -> --dry-run @param {string} name */
function typed(name) {
  return `--${name}`;
}

module.exports = { inJavaScript, optionOf, typed, unknownOption, wordsOf };
