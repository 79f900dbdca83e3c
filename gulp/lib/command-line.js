/** The command line that Gulp was called with: which tasks it names, and with which options. */

"use strict";

/** Gulp's own options: those that take a value, and flags. The long ones of both Gulp 4 and 5. */
const WITH_VALUE = new Set(["require", "preload", "gulpfile", "f", "cwd", "tasks-depth", "depth"]);
const FLAGS = new Set(["help", "h", "version", "v", "verify", "tasks", "T", "tasks-simple", "tasks-json"]);
for (const flag of ["compact-tasks", "sort-tasks", "color", "no-color", "silent", "S", "continue", "series"]) {
  FLAGS.add(flag);
}
const LOG_LEVEL = /^(log-level|L+)$/;

/**
 * Read it as Gulp does: what follows an unknown option without a `=` is its value, unless it is an option too.
 *
 * @param {string[]} words process.argv from the third on
 * @returns {{ tasks: string[], options: [string, string | true, string][] }} of an option its name, its value, and its
 *   name as it was typed
 */
function readCommandLine(words) {
  const tasks = [];
  const options = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === "--") {
      tasks.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      tasks.push(word);
      continue;
    }
    const [, typed, name, , value] = /^(--?([^=]*))(=([^]*))?$/.exec(word);
    if (FLAGS.has(name) || LOG_LEVEL.test(name)) {
      continue;
    }
    const next = words[at + 1];
    const takesNext = value === undefined && next !== undefined && !/^-(?!\d)/.test(next);
    at += takesNext ? 1 : 0;
    if (!WITH_VALUE.has(name)) {
      options.push([name, value ?? (takesNext ? next : true), typed]);
    }
  }
  return { tasks, options };
}

module.exports = { readCommandLine };
