/** The tasks in Gulp: `gulp nimbus:upload --limit=100`, and their names in gulp.series. */

"use strict";

const { NimbusError } = require("./errors.js");
const { optionOf, typed, unknownOption, wordsOf } = require("./options.js");
const { run } = require("./process.js");
const { ownDefaults } = require("./settings.js");
const { tasks } = require("./tasks.js");

/** @typedef {import("./tasks.js").Task} Task */
/** @typedef {import("./settings.js").Settings} Settings */

/** Gulp's own options: those with a value, and flags. The long names of both Gulp 4 and 5. */
const WITH_VALUE = new Set(["require", "preload", "gulpfile", "f", "cwd", "tasks-depth", "depth"]);
const FLAGS = new Set(["help", "h", "version", "v", "verify", "tasks", "T", "tasks-simple", "tasks-json"]);
for (const flag of ["compact-tasks", "sort-tasks", "color", "no-color", "silent", "S", "continue", "series"]) {
  FLAGS.add(flag);
}
const LOG_LEVEL = /^(log-level|L+)$/;

/** @param {import("../index.d.ts").Gulp} gulp @param {Settings} settings */
function register(gulp, settings) {
  for (const task of tasks) {
    const flags = Object.fromEntries(
      task.options.map((option) => [`--${option.name}`, describe(task, option, settings)]),
    );
    const action = async () => run(task, wordsFromCommandLine(task, settings), settings);
    gulp.task(task.name, Object.assign(action, { description: task.description, flags }));
  }
}

/** @param {Task} task @param {import("./tasks.js").Option} option @param {Settings} settings */
function describe(task, { name, description }, settings) {
  const own = Object.entries(ownDefaults(task.name, settings)).find(([each]) => each === name);
  return own ? description.replace(/\(default: .*\)$/, `(default: ${own[1]})`) : description;
}

/**
 * Return this task's options on Gulp's command line. An option that no task has is an error if only our tasks are
 * named: `--dryrun` must not upload. Beside other tasks it may be theirs.
 *
 * @param {Task} task
 * @param {Settings} settings
 */
function wordsFromCommandLine(task, settings) {
  const { ownOptions = [] } = settings;
  const { names, options } = readCommandLine(process.argv.slice(2));
  const ours = tasks.filter((each) => names.includes(each.name));
  const onlyOurs = names.length > 0 && names.every((name) => ours.some((each) => each.name === name));
  /** @type {Record<string, string | boolean>} */
  const given = {};
  for (const [written, value, asTyped] of options) {
    const name = turnedOff(task, written);
    const option = optionOf(task, name);
    if (option) {
      if (value === true && name === written && option.type !== "boolean") {
        throw new NimbusError(`${task.name} ${typed(option.name)} needs a value: ${typed(option.name)}=...`);
      }
      given[name] = name === written ? value : false;
    } else if (onlyOurs && !ownOptions.includes(written) && !ours.some((each) => optionOf(each, name))) {
      const own = ` If your gulpfile reads it: require("gulp-nimbus")(gulp, { ownOptions: ["${written}"] })`;
      throw unknownOption(task, asTyped, typed, own);
    }
  }
  return wordsOf(task, settings, given, typed);
}

/**
 * Read a command line as Gulp does: the word after an unknown option without `=` is its value, unless it is an option.
 *
 * @param {string[]} words process.argv from the third on
 * @returns {{ names: string[], options: [name: string, value: string | true, typed: string][] }} the names of tasks,
 *   and the options that are not Gulp's
 */
function readCommandLine(words) {
  /** @type {string[]} */
  const names = [];
  /** @type {[string, string | true, string][]} */
  const options = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === "--") {
      names.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      names.push(word);
      continue;
    }
    const [, asTyped = "", name = "", , value] = /^(--?([^=]*))(=([^]*))?$/.exec(word) ?? [];
    if (FLAGS.has(name) || LOG_LEVEL.test(name)) {
      continue;
    }
    const next = words[at + 1];
    const takesNext = value === undefined && next !== undefined && !/^-(?!\d)/.test(next);
    at += takesNext ? 1 : 0;
    if (!WITH_VALUE.has(name)) {
      options.push([name, value ?? (takesNext ? next : true), asTyped]);
    }
  }
  return { names, options };
}

/** Return the option that `--no-dry-run` turns off: dry-run. @param {Task} task @param {string} written */
function turnedOff(task, written) {
  const name = written.replace(/^no-/, "");
  return name !== written && optionOf(task, name)?.type === "boolean" ? name : written;
}

module.exports = { register };
