/** The other side of `nimbus:stream`: pages go in, a line of JSON comes back for each, in their order. */

"use strict";

const { StringDecoder } = require("node:string_decoder");

const { startNimbus } = require("./child.js");
const { interrupt } = require("./signals.js");

class Door {
  /**
   * @param {import("./tasks.js").Task} task
   * @param {string[]} words
   * @param {import("../index.d.ts").Settings} settings
   * @param {(answer: { path: string, page_id?: string, status: string, reason: string }) => void} answered
   */
  constructor(task, words, settings, answered) {
    const { process: child, ended } = startNimbus(task.name, [task.runs, ...words], settings, "pipe");
    this.child = child;
    this.ended = ended;
    // A process that has ended reads no more: `ended` tells of it, the failed write need not.
    child.stdin.on("error", () => {});
    const decoder = new StringDecoder("utf8");
    let begun = "";
    child.stdout.on("data", (bytes) => {
      const lines = (begun + decoder.write(bytes)).split("\n");
      begun = lines.pop();
      lines.forEach((line) => (line.startsWith("{") ? answered(JSON.parse(line)) : process.stderr.write(`${line}\n`)));
    });
  }

  /**
   * @param {string} path
   * @param {Buffer} bytes
   * @param {() => void} ready called when more may be sent
   */
  send(path, bytes, ready) {
    const { stdin } = this.child;
    stdin.write(`${JSON.stringify({ path, bytes: bytes.length })}\n`);
    if (stdin.write(bytes)) {
      ready();
    } else {
      stdin.once("drain", ready);
    }
  }

  /**
   * Whether Gulp waits for this process. While it only waits for pages it must not: if what sends them fails, none will
   * come, and Gulp would never end.
   *
   * @param {boolean} waited
   */
  hold(waited) {
    for (const each of [this.child, ...this.child.stdio]) {
      if (waited) {
        each?.ref?.();
      } else {
        each?.unref?.();
      }
    }
  }

  /** No more pages will come. */
  close() {
    this.child.stdin.end();
  }

  /** End it as Ctrl-C does: what was not published is not. */
  interrupt() {
    interrupt(this.child);
  }
}

module.exports = { Door };
