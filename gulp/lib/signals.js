/** Ctrl-C and SIGTERM reach the running processes, and Gulp waits until they have ended cleanly. */

"use strict";

/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

/** @type {NodeJS.Signals[]} */
const SIGNALS = ["SIGINT", "SIGTERM"];

/** A stream whose end tells the process to end: see NIMBUS_LIFELINE in nimbus_tasks/__main__.py. */
const LIFELINE = 3;

/** @type {Set<ChildProcess>} */
const running = new Set();
/** @type {NodeJS.Signals | undefined} the first signal that Gulp received */
let received;

/**
 * @param {() => ChildProcess} start is called after the signal handlers are installed
 * @returns {{ child: ChildProcess, release: () => void }} call `release` when the child has ended
 */
function startWithSignals(start) {
  if (!running.size) {
    SIGNALS.forEach((signal) => process.on(signal, forward));
  }
  const child = start();
  running.add(child);
  if (received) {
    interrupt(child);
  }
  return { child, release: () => release(child) };
}

/** @param {ChildProcess} child */
function release(child) {
  running.delete(child);
  if (running.size) {
    return;
  }
  SIGNALS.forEach((signal) => process.off(signal, forward));
  if (received && process.listenerCount(received) === 0) {
    // End by the signal, as without us: programs that wait for Gulp see which one it was.
    process.kill(process.pid, received);
  }
  received = undefined;
}

/** @param {NodeJS.Signals} signal */
function forward(signal) {
  running.forEach((child) => (received ? child.kill(signal) : interrupt(child)));
  received ??= signal;
}

/**
 * Act as Ctrl-C does, once. Not by a signal: while Python starts, it answers one with a traceback.
 *
 * @param {ChildProcess} child
 */
function interrupt(child) {
  child.stdio[LIFELINE]?.destroy();
}

module.exports = { LIFELINE, interrupt, startWithSignals };
