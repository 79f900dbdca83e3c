/** One Python process that runs Nimbus Tasks, and how it ended. */

"use strict";

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { relative } = require("node:path");

const { NimbusError } = require("./errors.js");
const { findPython } = require("./python.js");
const { projectFolder } = require("./settings.js");
const { LIFELINE, startHeedingSignals } = require("./signals.js");

/** `python -m nimbus_tasks`, except that a missing package is an exit status and not an English sentence. */
const NOT_INSTALLED = 97;
const PROGRAM = [
  "import importlib.util, sys",
  `importlib.util.find_spec("nimbus_tasks") or sys.exit(${NOT_INSTALLED})`,
  "import runpy",
  'runpy.run_module("nimbus_tasks", run_name="__main__", alter_sys=True)',
].join("\n");

const MEANINGS = {
  1: "some pages failed or are invalid, the others are safe",
  2: "nothing could be done",
  3: "it was not called rightly",
  130: "it was interrupted",
};

/**
 * Start Nimbus Tasks. Its standard error is ours; it is ended with us, however we end.
 *
 * @param {string} name the task, as errors name it
 * @param {string[]} words its command line: no shell reads it
 * @param {{ python?: string, cwd?: string }} settings
 * @param {"inherit" | "pipe"} streams what its standard input and output are
 * @returns {{ process: import("node:child_process").ChildProcess, ended: Promise<void> }} `ended` is rejected with a
 *   NimbusError unless the exit status is 0
 */
function startNimbus(name, words, settings, streams) {
  const python = findPython(settings);
  const options = {
    cwd: projectFolder(settings),
    env: { ...process.env, NIMBUS_LIFELINE: String(LIFELINE) },
    // The fourth is never written to: it ends when we do.
    stdio: [streams, streams, "inherit", "pipe"],
    // A process group of its own: Ctrl-C comes from us alone, once.
    detached: process.platform !== "win32",
  };
  const { child, release } = startHeedingSignals(() => spawn(python.command, ["-c", PROGRAM, ...words], options));
  const ended = new Promise((resolve, reject) => {
    child.once("error", (error) => reject(notStarted(error, python, settings)));
    child.once("close", (status, signal) => {
      const error = status === 0 ? null : howItEnded(name, status, signal, python, settings);
      return error ? reject(error) : resolve();
    });
  }).finally(release);
  return { process: child, ended };
}

function notStarted(error, { command, from }, settings) {
  if (!existsSync(projectFolder(settings))) {
    return new NimbusError(`There is no folder ${projectFolder(settings)} (the setting cwd).`);
  }
  if (error.code === "ENOENT") {
    return new NimbusError(`There is no Python at ${shown(command, settings)} (${from}). ${howToChoose()}`);
  }
  return new NimbusError(`${shown(command, settings)} (${from}) cannot be started: ${error.message}`);
}

function howItEnded(name, status, signal, python, settings) {
  if (signal) {
    return new NimbusError(`${name} was ended by ${signal}.`, { signal });
  }
  if (status === NOT_INSTALLED) {
    const command = shown(python.command, settings);
    const install = python.from === "the PATH" ? `${command} -m venv .venv && .venv/bin/python` : command;
    const told = `Nimbus Tasks is not installed for ${command} (${python.from}).`;
    return new NimbusError(`${told} Run: ${install} -m pip install nimbus-tasks`, { status });
  }
  return new NimbusError(`${name}: ${MEANINGS[status] ?? "it failed"} (exit status ${status})`, { status });
}

function howToChoose() {
  return 'Another one: NIMBUS_PYTHON, or require("gulp-nimbus")(gulp, { python: "..." }).';
}

/** A path as one would type it in the project's folder. */
function shown(command, settings) {
  const here = relative(projectFolder(settings), command);
  return command.startsWith("/") && !here.startsWith("..") ? here : command;
}

module.exports = { startNimbus };
