/** A process that runs `nimbus:stream`: it reads pages, and answers each with a line of JSON, in their order. */

"use strict";

const { StringDecoder } = require("node:string_decoder");

const { startNimbus } = require("./process.js");
const { interrupt } = require("./signals.js");

/** @typedef {import("../index.d.ts").PageResult & { path: string }} Answer */

class StreamProcess {
  #child;
  #stdin;

  /**
   * @param {import("./tasks.js").Task} task
   * @param {string[]} words
   * @param {import("./settings.js").Settings} settings
   * @param {(answer: Answer) => void} onAnswer
   */
  constructor(task, words, settings, onAnswer) {
    const { process: child, ended } = startNimbus(task.name, [task.runs, ...words], settings, "pipe");
    this.ended = ended;
    this.hasEnded = false;
    this.#child = child;
    this.#stdin = /** @type {import("node:stream").Writable} */ (child.stdin);
    // A write to a process that has ended fails; `ended` already reports that.
    this.#stdin.on("error", () => {});
    const decoder = new StringDecoder("utf8");
    let rest = "";
    child.stdout?.on("data", (bytes) => {
      const lines = (rest + decoder.write(bytes)).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach((line) => (line.startsWith("{") ? onAnswer(JSON.parse(line)) : process.stderr.write(`${line}\n`)));
    });
  }

  /**
   * @param {string} path
   * @param {Buffer} bytes
   * @param {() => void} ready called when more may be sent
   */
  send(path, bytes, ready) {
    this.#stdin.write(`${JSON.stringify({ path, bytes: bytes.length })}\n`);
    if (this.#stdin.write(bytes)) {
      ready();
    } else {
      this.#stdin.once("drain", ready);
    }
  }

  /**
   * Set whether Gulp waits for this process. It must not while the process only waits for pages: if their source
   * fails, none will come, and Gulp would never end.
   *
   * @param {boolean} waits
   */
  keepAlive(waits) {
    // Pipes of a process are sockets, which have these methods too.
    const all = /** @type {({ ref?(): unknown, unref?(): unknown } | null | undefined)[]} */ (
      /** @type {unknown} */ ([this.#child, ...this.#child.stdio])
    );
    for (const each of all) {
      if (waits) {
        each?.ref?.();
      } else {
        each?.unref?.();
      }
    }
  }

  /** Tell it that no more pages will come. */
  close() {
    this.#stdin.end();
  }

  /** End it as Ctrl-C does, without publishing the rest. */
  interrupt() {
    interrupt(this.#child);
  }
}

module.exports = { StreamProcess };
