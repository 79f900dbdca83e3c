/**
 * Moves files through their states: checksum, check (which does the server have already?), signed address, bytes,
 * completion. Each step takes what the one before has left, and `_pump` starts whatever may start now.
 *
 * Addresses are asked for in chunks just in time: one that waits in line would expire.
 */

import { api, ApiError } from "../api.js";
import { isCancellable } from "./items.js";
import { afterFailure, afterSuccess, afterTooMany, newPace, retryDelay, waitOf } from "./pace.js";
import { sendInParts } from "./parts.js";
import { send, sendThrough } from "./send.js";

/** @typedef {import("./items.js").Item} Item */
/** @typedef {import("./items.js").Items} Items */
/** @typedef {import("./hashing.js").Hasher} Hasher */

/**
 * What the server answers for a file to upload; `isDuplicate` where it has the file, `error` where it refuses it.
 * expiresAt: epoch milliseconds. method: POST where the server takes the bytes itself.
 * @typedef {{uploadUrl: string, assetId: string, blobUrl: string, method: string, headers?: Record<string, string>,
 *   expiresAt: number, parts?: import("./parts.js").Part[], isDuplicate?: boolean, asset?: {id: string},
 *   error?: string, code?: import("../api.js").ErrorClass}} Grant
 */

/** Files that are hashed before the server is asked which it has: at most so far ahead of the upload. */
const HASHED_AHEAD = 500;
/** Checksums in one question; the server takes 1,000. */
const CHECKED_AT_ONCE = 500;
/** Addresses in one request; the server gives 100. */
const SIGNED_AT_ONCE = 50;
/** Milliseconds between two chunks. */
const BETWEEN_CHUNKS = 200;
/** Attempts to send a file, and to get another address for one that has expired. */
const ATTEMPTS = 5;
const RENEWALS = 3;

export class Uploader {
  /**
   * @param {Items} items
   * @param {Hasher} hasher
   * @param {{start: number, most: number}} concurrency files at once
   */
  constructor(items, hasher, concurrency) {
    this._items = items;
    this._hasher = hasher;
    this.pace = newPace(concurrency.start, concurrency.most);
    this.isPaused = false;
    /** @type {Map<Item, Grant>} files that may be sent now, in order */
    this._granted = new Map();
    /** @type {Map<Item, AbortController>} */
    this._sending = new Map();
    this._hashing = 0;
    this._isChecking = false;
    this._isSigning = false;
    this._nextChunk = 0;
    this._timer = 0;
    addEventListener("online", () => this._pump());
  }

  /** Start what may start now. */
  start() {
    this._pump();
  }

  pause() {
    this.isPaused = true;
    for (const [item, controller] of this._sending) {
      controller.abort();
      this._items.change(item, "queued");
    }
    this._granted.clear();
  }

  resume() {
    this.isPaused = false;
    this._pump();
  }

  /** @param {Item} item */
  cancel(item) {
    if (!isCancellable(item.state)) return;
    this._granted.delete(item);
    this._items.change(item, "cancelled");
    this._sending.get(item)?.abort();
    this._pump();
  }

  cancelAll() {
    for (const item of this._items.all) this.cancel(item);
  }

  /** @param {Item} item that has failed */
  retry(item) {
    if (item.state === "jobFailed") return void this._retryProcessing(item);
    if (item.state !== "failed" && item.state !== "cancelled") return;
    this._items.change(item, item.sha256 ? "hashed" : "waiting");
    this._pump();
  }

  retryAll() {
    for (const item of [...this._items.in("failed"), ...this._items.in("jobFailed")]) this.retry(item);
  }

  _pump() {
    if (this._mustWait()) return;
    this._hash();
    this._check();
    this._sign();
    this._send();
  }

  /** Return whether nothing may start now; something calls `_pump` when that ends. */
  _mustWait() {
    if (this.isPaused || !navigator.onLine) return true;
    const wait = waitOf(this.pace, Date.now());
    if (wait > 0) this._pumpIn(wait);
    return wait > 0;
  }

  /** @param {number} milliseconds */
  _pumpIn(milliseconds) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._pump(), milliseconds);
  }

  _hash() {
    const { hashed, queued } = this._items.counts;
    const room = Math.min(this._hasher.size - this._hashing, HASHED_AHEAD - hashed - queued);
    for (const item of room > 0 ? this._items.in("waiting", room) : []) {
      this._hashing += 1;
      this._items.change(item, "hashing");
      void this._hashOne(item);
    }
  }

  /** @param {Item} item */
  async _hashOne(item) {
    try {
      const file = await fileOf(item);
      const sha256 = await this._hasher.digest(file);
      if (item.state === "hashing") this._items.change(item, "hashed", { sha256 });
    } catch {
      if (item.state === "hashing") this._items.change(item, "failed", { failure: "invalid", detail: "unreadable" });
    }
    this._hashing -= 1;
    this._pump();
  }

  _check() {
    const { hashed, waiting, queued } = this._items.counts;
    const enough = hashed >= CHECKED_AT_ONCE || queued + this._sending.size === 0 || waiting + this._hashing === 0;
    if (!hashed || this._isChecking || !enough) return;
    this._isChecking = true;
    void this._checkSome(this._items.in("hashed", CHECKED_AT_ONCE)).finally(() => {
      this._isChecking = false;
      this._pump();
    });
  }

  /** @param {Item[]} items */
  async _checkSome(items) {
    const checksums = [...new Set(items.map((item) => item.sha256))];
    /** @type {{existing: Record<string, {id: string}>}} assets by checksum */
    const answer = await this._ask(() => api("/api/upload-check", { method: "POST", body: { checksums } }), items);
    for (const item of answer ? items : []) {
      if (item.state !== "hashed") continue;
      const asset = answer.existing[item.sha256];
      if (asset) this._items.change(item, "duplicate", { assetId: asset.id });
      else if (this._items.twinOf(item)) this._items.change(item, "duplicate");
      else this._items.change(item, "queued");
    }
  }

  _sign() {
    const inHand = this._granted.size + this._sending.size;
    const waiting = this._items.counts.queued - this._granted.size;
    if (this._isSigning || waiting <= 0 || inHand > 2 * this.pace.slots) return;
    if (Date.now() < this._nextChunk) return this._pumpIn(this._nextChunk - Date.now());
    this._isSigning = true;
    const items = this._items
      .in("queued", SIGNED_AT_ONCE + this._granted.size)
      .filter((item) => !this._granted.has(item));
    void this._signSome(items.slice(0, SIGNED_AT_ONCE)).finally(() => {
      this._isSigning = false;
      this._nextChunk = Date.now() + BETWEEN_CHUNKS;
      this._pump();
    });
  }

  /** @param {Item[]} items */
  async _signSome(items) {
    const files = items.map(describe);
    /** @type {{files: Grant[]}} in the order of the files */
    const answer = await this._ask(() => api("/api/upload-urls", { method: "POST", body: { files } }), items);
    for (const [index, item] of (answer ? items : []).entries()) {
      const grant = answer.files[index];
      if (grant && item.state === "queued") this._grant(item, grant);
    }
  }

  /**
   * @param {Item} item
   * @param {Grant} grant
   */
  _grant(item, grant) {
    if (grant.error) this._items.change(item, "failed", { failure: grant.code ?? "invalid", detail: grant.error });
    else if (grant.isDuplicate) this._items.change(item, "duplicate", { assetId: grant.asset?.id ?? "" });
    else this._granted.set(item, grant);
  }

  /**
   * Ask the server for several files. A failure that may pass is waited for, and the files stay as they are.
   * @template T
   * @param {() => Promise<T>} ask
   * @param {Item[]} items
   * @returns {Promise<T | null>}
   */
  async _ask(ask, items) {
    try {
      const answer = await ask();
      this._failures = 0;
      return answer;
    } catch (error) {
      const failed = asApiError(error);
      if (failed.isTransient) this._slowDown(failed);
      else for (const item of items) this._fail(item, failed);
      return null;
    }
  }

  /** Failures in a row of requests for several files. */
  _failures = 0;

  /** @param {ApiError} error */
  _slowDown(error) {
    const now = Date.now();
    if (error.kind === "rate_limit") {
      this.pace = afterTooMany(this.pace, now, error.retryAfter || 1);
    } else {
      this._failures += 1;
      this.pace = afterTooMany(this.pace, now, retryDelay(this._failures, Math.random()) / 1000);
    }
  }

  _send() {
    for (const [item, grant] of this._granted) {
      if (this._sending.size >= this.pace.slots) return;
      this._granted.delete(item);
      if (grant.expiresAt < Date.now()) continue; // `_sign` asks for another one
      const controller = new AbortController();
      this._sending.set(item, controller);
      this._items.change(item, "uploading");
      void this._sendOne(item, grant, controller.signal).finally(() => {
        this._sending.delete(item);
        this._pump();
      });
    }
    this._sign();
  }

  /**
   * @param {Item} item
   * @param {Grant} grant
   * @param {AbortSignal} signal
   */
  async _sendOne(item, grant, signal) {
    let attempts = 0;
    let renewals = 0;
    for (;;) {
      try {
        const asset = await transfer(item, grant, (sent) => this._items.progress(item, sent), signal);
        this.pace = afterSuccess(this.pace);
        const { id, isDuplicate, needsProcessing } = asset;
        const state = isDuplicate ? "duplicate" : needsProcessing ? "uploaded" : "ready";
        return this._items.change(item, state, { assetId: id });
      } catch (error) {
        // Paused or cancelled: whoever did it has set the state.
        if (signal.aborted || item.state !== "uploading") return;
        const failed = asApiError(error);
        const mayBeExpired = failed.status === 403 && renewals < RENEWALS;
        if (failed.kind === "rate_limit") {
          this.pace = afterTooMany(this.pace, Date.now(), failed.retryAfter || 1);
          return this._items.change(item, "queued");
        }
        if (!navigator.onLine) return this._items.change(item, "queued");
        if (!mayBeExpired) {
          attempts += 1;
          this.pace = afterFailure(this.pace);
          if (!failed.isTransient || attempts >= ATTEMPTS) return this._fail(item, failed);
          await pause(retryDelay(attempts, Math.random()), signal);
          continue;
        }
        renewals += 1;
        const renewed = await this._ask(
          () => api("/api/upload-urls", { method: "POST", body: { files: [describe(item)] } }),
          [item],
        );
        if (!renewed) return item.state === "uploading" ? this._items.change(item, "queued") : undefined;
        grant = /** @type {Grant} */ (renewed.files[0]);
      }
    }
  }

  /**
   * @param {Item} item
   * @param {ApiError} error
   */
  _fail(item, error) {
    if (item.state !== "cancelled") this._items.change(item, "failed", { failure: error.kind, detail: error.message });
  }

  /** @param {Item} item whose job has failed */
  async _retryProcessing(item) {
    const answer = await this._ask(
      () => api(`/api/assets/${encodeURIComponent(item.assetId)}/retry-processing`, { method: "POST" }),
      [item],
    );
    if (answer) this._items.change(item, "uploaded");
  }
}

/**
 * Send a file's bytes and complete the upload.
 * @param {Item} item
 * @param {Grant} grant
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<{id: string, isDuplicate: boolean, needsProcessing: boolean}>}
 */
async function transfer(item, grant, onSent, signal) {
  const file = await fileOf(item);
  if (grant.method === "POST") return (await sendThrough(grant.uploadUrl, file, onSent, signal)).asset;
  if (grant.parts) await sendInParts(grant.parts, file, onSent, signal);
  else await send({ url: grant.uploadUrl, method: "PUT", headers: grant.headers ?? {} }, file, onSent, signal);
  const body = { ...describe(item), assetId: grant.assetId, blobUrl: grant.blobUrl };
  const answer = await api("/api/upload-complete", { method: "POST", body, signal });
  return answer.asset;
}

/** @param {Item} item */
function describe(item) {
  return { filename: item.name, size: item.size, mimeType: item.type, checksum: item.sha256 };
}

/**
 * @param {Item} item
 * @returns {Promise<File>}
 */
async function fileOf(item) {
  if (!item.file && item.handle) item.file = await item.handle.getFile();
  if (!item.file) throw new ApiError("invalid", "unreadable");
  return item.file;
}

/** @param {unknown} error */
function asApiError(error) {
  return error instanceof ApiError ? error : new ApiError("unknown", error instanceof Error ? error.message : "");
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal ends the wait
 */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}
