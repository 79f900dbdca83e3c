/** The service as a process that a test may kill. SERVICE_COMMAND (JSON) starts it in the folder SERVICE_FOLDER. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export class Service {
  constructor() {
    this.url = "";
    this._port = "0";
    /** @type {import("node:child_process").ChildProcess | null} */
    this._process = null;
  }

  /** Start it, at the same address as before. */
  async start() {
    const [program, ...options] = JSON.parse(process.env.SERVICE_COMMAND ?? "[]");
    const cwd = process.env.SERVICE_FOLDER;
    const started = spawn(program, [...options, `--port=${this._port}`], { cwd, stdio: ["ignore", "pipe", "inherit"] });
    this._process = started;
    const [line] = await once(createInterface({ input: started.stdout }), "line");
    this.url = JSON.parse(line).url;
    this._port = new URL(this.url).port;
  }

  /** Kill it, as a machine that loses its power does. */
  async kill() {
    const running = this._process;
    this._process = null;
    if (running?.kill("SIGKILL")) await once(running, "exit");
  }
}
