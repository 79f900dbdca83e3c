/** A stream of files that publishes each page that passes, and says in `file.nimbus` what became of it. */

"use strict";

const { Duplex } = require("node:stream");

const { bytesOf } = require("./contents.js");
const { Door } = require("./door.js");
const { NimbusError } = require("./errors.js");
const { wordsOf } = require("./options.js");
const { sourcePath } = require("./source-path.js");
const { stream: task } = require("./tasks.js");

/**
 * Files leave in the order in which they came, each when its group is published. Until then they are kept: a group
 * (512 pages or 16 MiB, see nimbus_tasks/cli/stream/groups.py) and what is on the way to the next.
 */
class PageStream extends Duplex {
  #settings;
  #folder;
  #failAfterError;
  #words;
  /** @type {Door | undefined} started by the first page */ #door;
  /** @type {{ file: any, settled: boolean }[]} all that have not left yet */ #kept = [];
  /** @type {{ file: any, settled: boolean }[]} those of them that wait for an answer */ #asked = [];
  #wanted = false; // somebody reads
  #ready; // takes the next file; kept while nobody reads
  #finish; // ends this stream; kept until the last file has left
  /** @type {NimbusError | null} how Python ended */ #error = null;
  #passed = 0;
  #failed = [];
  /** @type {Set<NodeJS.WritableStream>} what this is piped into */ #after = new Set();

  constructor(settings, options = {}) {
    // A reader gets a file when it asks for one: so when it asks for the next, it has had the last.
    super({ objectMode: true, readableHighWaterMark: 0 });
    const { folder, failAfterError = true, ...more } = options;
    this.#settings = settings;
    this.#folder = folder;
    this.#failAfterError = failAfterError;
    this.#words = () => wordsOf({ ...task, name: "nimbus()", alsoKnown: ["folder", "fail-after-error"] }, more);
  }

  pipe(next, options) {
    this.#after.add(next);
    return super.pipe(next, options);
  }

  unpipe(next) {
    if (next) {
      this.#after.delete(next);
    } else {
      this.#after.clear();
    }
    return super.unpipe(next);
  }

  _write(file, _encoding, done) {
    this.#take(file, done).catch(done);
  }

  async #take(file, done) {
    if (!file.contents) {
      this.#kept.push({ file, settled: true }); // a folder, or a file that was not read
      this.#pass();
      return this.#next(done);
    }
    const path = sourcePath(file, this.#settings, this.#folder);
    this.#door ??= this.#open();
    const bytes = await bytesOf(file);
    const entry = { file, settled: false };
    this.#kept.push(entry);
    this.#asked.push(entry);
    this.#door.hold(true);
    this.#door.send(path, bytes, () => this.#next(done));
  }

  #open() {
    const door = new Door(task, this.#words(), this.#settings, (answer) => this.#answered(answer));
    door.ended.then(
      () => this.#ended(null),
      (error) => this.#ended(error),
    );
    return door;
  }

  #answered({ page_id, status, reason }) {
    const entry = this.#asked.shift();
    entry.file.nimbus = { page_id, status, reason };
    entry.settled = true;
    this.#passed += 1;
    if (!this.#asked.length && !this.#finish) {
      this.#door.hold(false);
    }
    if (status === "invalid" || status === "failed") {
      this.#failed.push({ path: entry.file.relative, reason });
    }
    this.#pass();
  }

  /** Python has ended. With status 1 it has answered each page, and some failed; else it could not go on. */
  #ended(error) {
    this.#door.over = true;
    this.#error = error;
    const answered = this.#finish && !this.#asked.length;
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

  /** Let the first file go, if it is settled and somebody wants it. */
  #pass() {
    while (this.#wanted && this.#kept[0]?.settled) {
      this.#wanted = false;
      this.push(this.#kept.shift().file);
    }
    if (this.#ready && !this.#isHeldUp()) {
      const ready = this.#ready;
      this.#ready = undefined;
      ready();
    }
    if (this.#wanted && this.#finish && !this.#kept.length && (!this.#door || this.#door.over)) {
      const finish = this.#finish;
      this.#finish = undefined;
      this.#end(finish);
    }
  }

  /** Take the next file, or wait while those that are published are not fetched. */
  #next(done) {
    if (this.#isHeldUp()) {
      this.#ready = done;
    } else {
      done();
    }
  }

  #isHeldUp() {
    return Boolean(this.#kept[0]?.settled);
  }

  _final(done) {
    this.#finish = done;
    this.#door?.hold(true);
    this.#door?.close();
    this.#pass();
  }

  #end(finish) {
    if (this.#error && this.#failAfterError) {
      finish(this.#failed.length ? failure(this.#failed, this.#passed) : this.#error);
    } else {
      this.push(null);
      finish();
    }
  }

  _destroy(error, done) {
    if (this.#door && !this.#door.over) {
      this.#door.interrupt();
    }
    if (error) {
      this.once("close", () => tell(this.#after, error));
    }
    done(error);
  }
}

/**
 * pipe() takes no error along, and Gulp 5's src() takes one back only while it runs. So whoever waits at the end of the
 * pipes would wait for ever: those that follow are told, and end with the files that they have.
 */
function tell(after, error) {
  for (const next of after) {
    if (next.listenerCount("error")) {
      next.emit("error", error);
      next.end();
    }
  }
}

function failure([{ path, reason }, ...others], all) {
  const more = others.length ? ` (and ${others.length} more)` : "";
  return new NimbusError(`${others.length + 1} of ${all} pages failed: ${path} - ${reason}${more}`, { status: 1 });
}

module.exports = { PageStream };
