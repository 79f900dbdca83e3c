/**
 * Moves files through their states: checksum, check (which does the server have already?), signed address, bytes,
 * completion. Each step takes what the one before has left, and `_pump` starts whatever may start now.
 *
 * Addresses are asked for in chunks just in time: one that waits in line would expire.
 */

import { api } from "../api.js";
import { isCancellable } from "./items.js";
import { afterFailure, afterSuccess, afterTooMany, newPace, retryDelay, waitOf } from "./pace.js";
import { asApiError, describe, fileOf, isOutage, isReady, pause, transfer } from "./transfer.js";

/** @typedef {import("./items.js").Item} Item */
/** @typedef {import("./items.js").Items} Items */
/** @typedef {import("./hashing.js").Hasher} Hasher */
/** @typedef {import("./transfer.js").Grant} Grant */
/** @typedef {import("../api.js").ApiError} ApiError */

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
/** Failures in a row of files that are no longer taken for accidents of one. */
const FAILURES_OF_MANY = 3;
/** Seconds of a pause after a file has used up its attempts because nobody answers. */
const OUTAGE_PAUSE = 3;

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
    /** Failures in a row: of requests for several files, and of files. */
    this._failures = { asked: 0, sent: 0 };
    this._lastSent = 0;
    /** @type {WeakMap<Item, string>} what a file becomes when its upload is complete */
    this._assetIds = new WeakMap();
    /** @type {WeakMap<Item, number>} when the first byte of a file was sent, in `performance`'s time */
    this._began = new WeakMap();
    addEventListener("online", () => this._comeBack());
  }

  /** Whether the service or the store did not answer the last requests. */
  get isAway() {
    return this._failures.asked > 0 || this._failures.sent >= FAILURES_OF_MANY;
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

  /** The network is back: what waits for the service to answer need not wait longer. */
  _comeBack() {
    if (this.isAway) this.pace = { ...this.pace, pausedUntil: 0 };
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
    /** @type {{existing: Record<string, import("./transfer.js").KnownAsset>}} assets by checksum */
    const answer = await this._ask(() => api("/api/upload-check", { method: "POST", body: { checksums } }), items);
    for (const item of answer ? items : []) {
      if (item.state !== "hashed") continue;
      const asset = answer.existing[item.sha256];
      if (this._items.twinOf(item)) this._items.change(item, "duplicate");
      else if (asset) this._settle(item, asset);
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
    else if (grant.isDuplicate && grant.asset) this._settle(item, grant.asset);
    else this._granted.set(item, grant);
  }

  /**
   * The server has a file: as one that was there before, or of an upload of ours whose answer did not arrive. Where its
   * jobs are not done it is followed like others, so that it does not count as searchable.
   * @param {Item} item
   * @param {import("./transfer.js").KnownAsset} asset
   */
  _settle(item, asset) {
    const isOurs = this._assetIds.get(item) === asset.id;
    this._items.change(item, asset.embedded && !isOurs ? "duplicate" : "uploaded", { assetId: asset.id });
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
      this._failures.asked = 0;
      return answer;
    } catch (error) {
      const failed = asApiError(error);
      if (failed.isTransient) this._slowDown(failed);
      else for (const item of items) this._fail(item, failed);
      return null;
    }
  }

  /** @param {ApiError} error of a request for several files: everything waits */
  _slowDown(error) {
    this._failures.asked += error.kind === "rate_limit" ? 0 : 1;
    const seconds =
      error.kind === "rate_limit" ? error.retryAfter || 1 : retryDelay(this._failures.asked, Math.random()) / 1000;
    this.pace = afterTooMany(this.pace, Date.now(), seconds);
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
    this._assetIds.set(item, grant.assetId);
    if (!this._began.has(item)) this._began.set(item, performance.now());
    // The time after the first failures: files that were under way before a cut may still get through then.
    let since = 0;
    for (;;) {
      try {
        const asset = await transfer(item, grant, (sent) => this._items.progress(item, sent), signal);
        this.pace = afterSuccess(this.pace);
        this._noteSent(item);
        const { id, isDuplicate, needsProcessing } = asset;
        const state = isDuplicate ? "duplicate" : needsProcessing ? "uploaded" : "ready";
        return this._items.change(item, state, { assetId: id });
      } catch (error) {
        // Paused or cancelled: whoever did it has set the state.
        if (signal.aborted || item.state !== "uploading") return;
        const failed = asApiError(error);
        const mayBeExpired = failed.status === 403 && renewals < RENEWALS;
        if (failed.kind === "rate_limit") {
          this._slowDown(failed);
          return this._items.change(item, "queued");
        }
        if (!navigator.onLine) return this._items.change(item, "queued");
        if (!mayBeExpired) {
          attempts += 1;
          this._failures.sent += 1;
          if (attempts <= 2) since = Date.now();
          this.pace = afterFailure(this.pace);
          if (!failed.isTransient) return this._fail(item, failed);
          if (attempts >= ATTEMPTS) return await this._giveUp(item, failed, since);
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
        if (item.state !== "uploading") return;
        if (grant.error || grant.isDuplicate) return this._grant(item, grant);
        this._assetIds.set(item, grant.assetId);
      }
    }
  }

  /**
   * A file has used up its attempts. It has failed, unless nobody answers: then it waits in line again.
   * @param {Item} item
   * @param {ApiError} error
   * @param {number} since a time before its last attempts
   */
  async _giveUp(item, error, since) {
    const othersFailToo = this._lastSent < since && this._items.counts.queued + this._sending.size > 1;
    const isAway = isOutage(error) && (othersFailToo || !(await isReady()));
    if (item.state !== "uploading") return;
    if (!isAway) return this._fail(item, error);
    this.pace = afterTooMany(this.pace, Date.now(), OUTAGE_PAUSE);
    this._items.change(item, "queued");
  }

  /** @param {Item} item that is stored: a measure in the browser's performance tools */
  _noteSent(item) {
    this._failures.sent = 0;
    this._lastSent = Date.now();
    performance.measure("upload", { start: this._began.get(item) ?? 0, detail: item.size });
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
