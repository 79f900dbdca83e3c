/** Python processes that run Nimbus Tasks: which Python, and how the process ended. */

"use strict";

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { join, relative } = require("node:path");

const { NimbusError } = require("./errors.js");
const { projectFolder } = require("./settings.js");
const { LIFELINE, startWithSignals } = require("./signals.js");

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {{ command: string, from: string }} Python the file or name, and where it is set */

/** `python -m nimbus_tasks`, with an exit status of its own if the package is missing. */
const NOT_INSTALLED = 97;
const PROGRAM = [
  "import importlib.util, sys",
  `importlib.util.find_spec("nimbus_tasks") or sys.exit(${NOT_INSTALLED})`,
  "import runpy",
  'runpy.run_module("nimbus_tasks", run_name="__main__", alter_sys=True)',
].join("\n");

/** Python in a virtual environment, on POSIX and on Windows. */
const VENV_PYTHONS = [join(".venv", "bin", "python"), join(".venv", "Scripts", "python.exe")];

const MEANINGS = new Map([
  [1, "some pages failed or are invalid, the others are safe"],
  [2, "nothing could be done"],
  [3, "the command line is wrong"],
  [130, "it was interrupted"],
]);

/** A stream on which Nimbus Tasks writes its documents: see NIMBUS_RESULT in nimbus_tasks/cli/json_output.py. */
const RESULT = 4;
/** Tasks whose result names their batch. */
const UPLOADS = new Set(["upload", "nimbus:upload"]);

/**
 * Run a task, with the terminal as it is.
 *
 * @param {import("./tasks.js").Task} task
 * @param {string[]} words
 * @param {Settings} settings
 * @returns {Promise<any>} its result; rejected with a NimbusError unless the exit status is 0
 */
async function run(task, words, settings) {
  const { process: child, ended } = startNimbus(task.name, [task.runs, ...words], settings, "inherit");
  const lastDocument = collect(/** @type {import("node:stream").Readable} */ (child.stdio[RESULT]));
  try {
    await ended;
  } catch (error) {
    if (error instanceof NimbusError && error.status === 1) {
      error.result = resultOf(task, lastDocument());
    }
    throw error;
  }
  return resultOf(task, lastDocument());
}

/** @param {import("node:stream").Readable} stream @returns {() => any} the document on its last line, if there is one */
function collect(stream) {
  /** @type {Buffer[]} */
  const parts = [];
  stream.on("data", (part) => parts.push(part));
  return () => {
    const last = Buffer.concat(parts).toString("utf8").trimEnd().split("\n").pop();
    return last ? JSON.parse(last) : undefined;
  };
}

/** @param {import("./tasks.js").Task} task @param {any} document */
function resultOf(task, document) {
  return document && UPLOADS.has(task.runs) ? { batchId: document.batches?.at(-1), summary: document } : document;
}

/**
 * Start Nimbus Tasks. It shares our standard error, and ends when we end, however that happens.
 *
 * @param {string} name of the task, for errors
 * @param {string[]} words of its command line; no shell reads them
 * @param {Settings} settings
 * @param {"inherit" | "pipe"} streams its standard input and output
 * @returns {{ process: import("node:child_process").ChildProcess, ended: Promise<void> }} `ended` is rejected with a
 *   NimbusError unless the exit status is 0
 */
function startNimbus(name, words, settings, streams) {
  const python = findPython(settings);
  /** @type {import("node:child_process").SpawnOptions} */
  const options = {
    cwd: projectFolder(settings),
    env: { ...process.env, NIMBUS_LIFELINE: String(LIFELINE), NIMBUS_RUNNER: "gulp" },
    // Nothing is written to the fourth stream: it closes when we end.
    stdio: [streams, streams, "inherit", "pipe"],
    // Its own process group, so that Ctrl-C reaches it only through us, once.
    detached: process.platform !== "win32",
  };
  if (streams === "inherit") {
    options.env = { ...options.env, NIMBUS_RESULT: String(RESULT) };
    options.stdio = [streams, streams, "inherit", "pipe", "pipe"];
  }
  const { child, release } = startWithSignals(() => spawn(python.command, ["-c", PROGRAM, ...words], options));
  /** @type {Promise<void>} */
  const exited = new Promise((resolve, reject) => {
    child.once("error", (error) => reject(startError(error, python, settings)));
    child.once("close", (status, signal) => {
      if (status === 0) {
        resolve();
      } else {
        reject(exitError(name, status, signal, python, settings));
      }
    });
  });
  return { process: child, ended: exited.finally(release) };
}

/**
 * The first of: the setting `python`, NIMBUS_PYTHON, the project's .venv, python3.
 *
 * @param {Settings} settings
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {Python}
 */
function findPython(settings, environment = process.env) {
  if (settings.python) {
    return { command: settings.python, from: "the setting python" };
  }
  if (environment.NIMBUS_PYTHON) {
    return { command: environment.NIMBUS_PYTHON, from: "NIMBUS_PYTHON" };
  }
  const inProject = VENV_PYTHONS.map((place) => join(projectFolder(settings), place)).find((file) => existsSync(file));
  return inProject ? { command: inProject, from: "the project's .venv" } : { command: "python3", from: "the PATH" };
}

/** @param {NodeJS.ErrnoException} error @param {Python} python @param {Settings} settings */
function startError(error, { command, from }, settings) {
  if (!existsSync(projectFolder(settings))) {
    return new NimbusError(`There is no folder ${projectFolder(settings)} (the setting cwd).`);
  }
  if (error.code === "ENOENT") {
    const choose = 'Choose another: NIMBUS_PYTHON, or require("gulp-nimbus")(gulp, { python: "..." }).';
    return new NimbusError(`There is no Python at ${shown(command, settings)} (${from}). ${choose}`);
  }
  return new NimbusError(`${shown(command, settings)} (${from}) cannot be started: ${error.message}`);
}

/**
 * @param {string} name
 * @param {number | null} status
 * @param {NodeJS.Signals | null} signal
 * @param {Python} python
 * @param {Settings} settings
 */
function exitError(name, status, signal, python, settings) {
  if (signal || status === null) {
    return new NimbusError(`${name} was ended by ${signal}.`, { signal: String(signal) });
  }
  if (status === NOT_INSTALLED) {
    const command = shown(python.command, settings);
    const install = python.from === "the PATH" ? `${command} -m venv .venv && .venv/bin/python` : command;
    const missing = `Nimbus Tasks is not installed for ${command} (${python.from}).`;
    return new NimbusError(`${missing} Run: ${install} -m pip install nimbus-tasks`, { status });
  }
  return new NimbusError(`${name}: ${MEANINGS.get(status) ?? "it failed"} (exit status ${status})`, { status });
}

/** A path as a user in the project's folder would type it. @param {string} command @param {Settings} settings */
function shown(command, settings) {
  const here = relative(projectFolder(settings), command);
  return command.startsWith("/") && !here.startsWith("..") ? here : command;
}

module.exports = { findPython, run, startNimbus };
