/** SHA-256 of files, in workers. */

/** @typedef {{resolve: (sha256: string) => void, reject: (error: Error) => void}} Waiting */

export class Hasher {
  /** @param {number} workers */
  constructor(workers = Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1))) {
    this.size = workers;
    /** @type {Map<number, Waiting>} */
    this._waiting = new Map();
    this._next = 0;
    this._workers = Array.from({ length: workers }, () => this._start());
    this._idle = [...this._workers];
  }

  /**
   * @param {File} file
   * @returns {Promise<string>} 64 hex digits
   * @throws {Error} the file cannot be read (it has gone, or has changed since it was chosen)
   */
  digest(file) {
    const id = (this._next += 1);
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject });
      (this._idle.pop() ?? this._workers[id % this._workers.length])?.postMessage({ id, file });
    });
  }

  _start() {
    const worker = new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module" });
    worker.addEventListener(
      "message",
      (/** @type {MessageEvent<{id: number, sha256: string, error: string}>} */ event) => {
        const { id, sha256, error } = event.data;
        const waiting = this._waiting.get(id);
        this._waiting.delete(id);
        if (!this._idle.includes(worker)) this._idle.push(worker);
        if (error) waiting?.reject(new Error(error));
        else waiting?.resolve(sha256);
      },
    );
    return worker;
  }
}
