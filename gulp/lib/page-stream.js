/** A stream of files that publishes each page that passes, and sets its result as `file.nimbus`. */

"use strict";

const { Duplex } = require("node:stream");
const { setImmediate } = require("node:timers/promises");

const { NimbusError } = require("./errors.js");
const { bytesOf, sourcePath } = require("./files.js");
const { wordsOf } = require("./options.js");
const { StreamProcess } = require("./stream-process.js");
const { stream: task } = require("./tasks.js");

/** Milliseconds that a failure waits for files that are being written. */
const LONGEST_WAIT = 60_000;

/** @typedef {import("./files.js").File} File */
/** @typedef {(error?: Error | null) => void} Done */
/** @typedef {{ file: File, finished: boolean }} Entry */

/**
 * Files leave in the order in which they came, each when its group is published. Until then they are kept: a group
 * (512 pages or 16 MiB, see nimbus_tasks/cli/stream) and what is on its way to the next.
 */
class PageStream extends Duplex {
  #settings;
  #folder;
  #failAfterError;
  #words;
  /** @type {StreamProcess | undefined} started by the first page */ #process;
  /** @type {Entry[]} all files that have not left yet */ #kept = [];
  /** @type {Entry[]} those that wait for an answer */ #pending = [];
  #wanted = false; // the reader asked for a file
  /** @type {Done | undefined} takes the next file; kept while finished files are not read */ #ready;
  /** @type {Done | undefined} ends this stream; kept until the last file has left */ #finish;
  /** @type {NimbusError | null} how the process ended */ #error = null;
  #passed = 0;
  /** @type {{ path: string, reason: string }[]} */ #failed = [];
  /** @type {Set<NodeJS.WritableStream>} the streams this is piped into */ #targets = new Set();

  /** @param {import("./settings.js").Settings} settings @param {import("../index.d.ts").StreamOptions} [options] */
  constructor(settings, options = {}) {
    // Without a buffer, a reader that asks for the next file has handled the previous one.
    super({ objectMode: true, readableHighWaterMark: 0 });
    const { folder, failAfterError = true, ...more } = options;
    this.#settings = settings;
    this.#folder = folder;
    this.#failAfterError = failAfterError;
    this.#words = () =>
      wordsOf({ ...task, name: "nimbus()", alsoKnown: ["folder", "fail-after-error"] }, settings, { ...more });
  }

  /**
   * @template {NodeJS.WritableStream} Target
   * @param {Target} target
   * @param {{ end?: boolean }} [options]
   * @returns {Target}
   */
  pipe(target, options) {
    this.#targets.add(target);
    return super.pipe(target, options);
  }

  /** @param {NodeJS.WritableStream} [target] */
  unpipe(target) {
    if (target) {
      this.#targets.delete(target);
    } else {
      this.#targets.clear();
    }
    return super.unpipe(target);
  }

  /** @param {File} file @param {string} _encoding @param {Done} done */
  _write(file, _encoding, done) {
    this.#take(file, done).catch(done);
  }

  /** @param {File} file @param {Done} done */
  async #take(file, done) {
    if (!file.contents) {
      this.#kept.push({ file, finished: true }); // a folder, or a file that was not read
      this.#pass();
      return this.#next(done);
    }
    const path = sourcePath(file, this.#settings, this.#folder);
    const process = (this.#process ??= this.#start());
    const bytes = await bytesOf(file, file.contents);
    const entry = { file, finished: false };
    this.#kept.push(entry);
    this.#pending.push(entry);
    process.keepAlive(true);
    process.send(path, bytes, () => this.#next(done));
  }

  #start() {
    const process = new StreamProcess(task, this.#words(), this.#settings, (answer) => this.#settle(answer));
    process.ended.then(
      () => this.#conclude(process, null),
      (error) => this.#conclude(process, error),
    );
    return process;
  }

  /** @param {import("./stream-process.js").Answer} answer */
  #settle({ page_id, status, reason }) {
    const entry = this.#pending.shift();
    if (!entry) {
      return;
    }
    entry.file.nimbus = { page_id, status, reason };
    entry.finished = true;
    this.#passed += 1;
    if (!this.#pending.length && !this.#finish) {
      this.#process?.keepAlive(false);
    }
    if (status === "invalid" || status === "failed") {
      this.#failed.push({ path: entry.file.relative, reason });
    }
    this.#pass();
  }

  /**
   * Handle the end of the process. With status 1 it has answered each page, and some failed; otherwise it gave up.
   *
   * @param {StreamProcess} process
   * @param {NimbusError | null} error
   */
  #conclude(process, error) {
    process.hasEnded = true;
    this.#error = error;
    const answered = this.#finish && !this.#pending.length;
    if (answered && (!error || error.status === 1)) {
      this.#pass();
    } else {
      this.destroy(error ?? new NimbusError("nimbus:stream ended before all pages had come."));
    }
  }

  _read() {
    this.#wanted = true;
    this.#pass();
  }

  /** Let the first file go, if it is finished and the reader asked for one. */
  #pass() {
    while (this.#wanted && this.#kept[0]?.finished) {
      this.#wanted = false;
      this.push(this.#kept.shift()?.file);
    }
    if (this.#ready && !this.#isBlocked()) {
      const ready = this.#ready;
      this.#ready = undefined;
      ready();
    }
    if (this.#wanted && this.#finish && !this.#kept.length && (!this.#process || this.#process.hasEnded)) {
      const finish = this.#finish;
      this.#finish = undefined;
      this.#end(finish);
    }
  }

  /** Take the next file, or wait while finished files are not read. @param {Done} done */
  #next(done) {
    if (this.#isBlocked()) {
      this.#ready = done;
    } else {
      done();
    }
  }

  #isBlocked() {
    return Boolean(this.#kept[0]?.finished);
  }

  /** @param {Done} done */
  _final(done) {
    this.#finish = done;
    this.#process?.keepAlive(true);
    this.#process?.close();
    this.#pass();
  }

  /** @param {Done} finish */
  #end(finish) {
    if (this.#error && this.#failAfterError) {
      const error = this.#failed.length ? failure(this.#failed, this.#passed) : this.#error;
      untilFilesAreWritten().then(() => finish(error));
    } else {
      this.push(null);
      finish();
    }
  }

  /** @param {Error | null} error @param {Done} done */
  _destroy(error, done) {
    if (this.#process && !this.#process.hasEnded) {
      this.#process.interrupt();
    }
    if (error) {
      this.once("close", () => failTargets(this.#targets, error));
    }
    done(error);
  }
}

/**
 * Pass an error on. pipe() does not, and Gulp 5's src() takes one back only while it runs, so that a program at the end
 * of the pipes would wait forever. The targets fail, and end with the files that they have.
 *
 * @param {Set<NodeJS.WritableStream>} targets
 * @param {Error} error
 */
function failTargets(targets, error) {
  for (const target of targets) {
    if (target.listenerCount("error")) {
      target.emit("error", error);
      target.end();
    }
  }
}

/**
 * Wait until this program writes no file. Gulp exits at a task's error, and would lose what gulp.dest() is writing,
 * anywhere down the pipes. What another task reads or writes at the same time can only delay the error.
 */
async function untilFilesAreWritten() {
  const deadline = Date.now() + LONGEST_WAIT;
  for (let idle = 0; idle < 3 && Date.now() < deadline;) {
    await setImmediate();
    idle = process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq")) ? 0 : idle + 1;
  }
}

/** @param {{ path: string, reason: string }[]} failed @param {number} all */
function failure(failed, all) {
  const [{ path, reason }] = failed;
  const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : "";
  return new NimbusError(`${failed.length} of ${all} pages failed: ${path} - ${reason}${more}`, { status: 1 });
}

module.exports = { PageStream };
