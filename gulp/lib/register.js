/** The tasks on a Gulp: `gulp nimbus:upload --limit=100`, and their names in gulp.series. */

"use strict";

const { readCommandLine } = require("./command-line.js");
const { NimbusError } = require("./errors.js");
const { optionOf, typed, unknownOption, wordsOf } = require("./options.js");
const { run } = require("./run.js");
const { tasks } = require("./tasks.js");

/** @typedef {import("./tasks.js").Task} Task */

function register(gulp, settings) {
  for (const task of tasks) {
    const action = async () => run(task, wordsFromCommandLine(task, settings), settings);
    action.description = task.description;
    action.flags = Object.fromEntries(task.options.map((option) => [`--${option.name}`, option.description]));
    gulp.task(task.name, action);
  }
}

/**
 * The options on Gulp's command line that are this task's. One that is nobody's is an error where only tasks of ours
 * are named: `--dryrun` must not upload. Beside other tasks it may be theirs.
 *
 * @param {Task} task
 */
function wordsFromCommandLine(task, { ownOptions = [] }) {
  const { tasks: named, options } = readCommandLine(process.argv.slice(2));
  const all = named.map((name) => tasks.find((each) => each.name === name));
  const onlyOurs = all.length > 0 && all.every(Boolean);
  const given = {};
  for (const [written, value, asTyped] of options) {
    const name = turnedOff(task, written);
    if (optionOf(task, name)) {
      given[name] = name === written ? valueOf(task, name, value) : false;
    } else if (onlyOurs && !ownOptions.includes(written) && !all.some((each) => optionOf(each, name))) {
      const own = ` If your gulpfile reads it: require("gulp-nimbus")(gulp, { ownOptions: ["${written}"] })`;
      throw unknownOption(task, asTyped, typed, own);
    }
  }
  return wordsOf(task, given, typed);
}

/** `--no-dry-run` is about dry-run. */
function turnedOff(task, written) {
  const name = written.replace(/^no-/, "");
  return name !== written && optionOf(task, name)?.type === "boolean" ? name : written;
}

function valueOf(task, name, value) {
  const { type, name: known } = optionOf(task, name);
  if (value === true && type !== "boolean") {
    throw new NimbusError(`${task.name} ${typed(known)} needs a value: ${typed(known)}=...`);
  }
  return value;
}

module.exports = { register };
