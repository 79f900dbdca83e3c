/** Ctrl-C and SIGTERM reach the processes that run, and Gulp waits for their clean end. */

"use strict";

const SIGNALS = ["SIGINT", "SIGTERM"];

/** The stream to a process that it ends with: see NIMBUS_LIFELINE in nimbus_tasks/__main__.py. */
const LIFELINE = 3;

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
/** @type {NodeJS.Signals | undefined} what Gulp was told to end by */
let told;

/**
 * @param {() => import("node:child_process").ChildProcess} start is called when signals are heeded, not before
 * @returns {{ child: import("node:child_process").ChildProcess, release: () => void }} `release` is to be called when
 *   the child has ended
 */
function startHeedingSignals(start) {
  if (!running.size) {
    SIGNALS.forEach((signal) => process.on(signal, pass));
  }
  const child = start();
  running.add(child);
  if (told) {
    interrupt(child);
  }
  return { child, release: () => release(child) };
}

function release(child) {
  running.delete(child);
  if (running.size) {
    return;
  }
  SIGNALS.forEach((signal) => process.off(signal, pass));
  if (told && process.listenerCount(told) === 0) {
    // As it would have been without us: whoever waits for Gulp sees by what it ended.
    process.kill(process.pid, told);
  }
  told = undefined;
}

function pass(signal) {
  running.forEach((child) => (told ? child.kill(signal) : interrupt(child)));
  told ??= signal;
}

/**
 * Press Ctrl-C, once. Not by a signal: Python answers one that comes while it starts with a traceback.
 *
 * @param {import("node:child_process").ChildProcess} child
 */
function interrupt(child) {
  child.stdio[LIFELINE]?.destroy();
}

module.exports = { LIFELINE, interrupt, startHeedingSignals };
