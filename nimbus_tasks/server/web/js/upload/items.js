/**
 * The files of an upload and their states. Each change of a state goes through `Items.change`, so that counts are right
 * without counting thousands of files again.
 */

/**
 * waiting -> hashing -> hashed -> queued -> uploading -> uploaded -> ready. From each of them to failed or cancelled, and
 * from uploaded to `jobFailed`; `duplicate` is a file that the server has already, `missing` one that must be chosen again
 * after a reload.
 * @typedef {"waiting" | "hashing" | "hashed" | "queued" | "uploading" | "uploaded" | "ready" | "duplicate" | "failed" | "jobFailed" | "cancelled" | "missing"} State
 */

/** What `ErrorBody.code` of the server may be, and what happens in the browser. @typedef {import("../api.js").ErrorClass} ErrorClass */

/**
 * @typedef {object} Item
 * @property {number} id
 * @property {string} path with the folders that were dropped, for people
 * @property {string} name
 * @property {number} size bytes
 * @property {string} type MIME type
 * @property {number} modified milliseconds
 * @property {State} state
 * @property {File | null} file null after a reload, until it is chosen again
 * @property {FileSystemFileHandle | null} handle reads the file again after a reload, where the browser has such
 * @property {string} sha256 hex digits; "" until hashed
 * @property {number} sent bytes
 * @property {string} assetId
 * @property {ErrorClass | ""} failure
 * @property {string} detail of the failure, as the server words it
 */

/** States in which nothing more happens by itself. */
const ENDED = new Set(["ready", "duplicate", "failed", "jobFailed", "cancelled", "missing"]);
/** States of files that are stored on the server. */
const STORED = new Set(["uploaded", "ready", "duplicate", "jobFailed"]);
/** States that a user may cancel. */
const CANCELLABLE = new Set(["waiting", "hashing", "hashed", "queued", "uploading", "missing"]);

/** @typedef {Record<State, number>} Counts */

/** @type {State[]} */
const STATES = ["waiting", "hashing", "hashed", "queued", "uploading", "uploaded", "ready", "duplicate", "failed", "jobFailed", "cancelled", "missing"]; // prettier-ignore

/** @returns {Counts} */
function noCounts() {
  return /** @type {Counts} */ (Object.fromEntries(STATES.map((state) => [state, 0])));
}

export class Items {
  constructor() {
    /** @type {Item[]} in the order in which they were added */
    this.all = [];
    this.counts = noCounts();
    /** Of the files that are not cancelled. */
    this.bytes = 0;
    this.bytesSent = 0;
    this._lastId = 0;
    /** @type {Map<number, Item>} */
    this._byId = new Map();
    /** @type {Map<string, Item>} by path, size and time: the same file is added once */
    this._byFile = new Map();
    /** @type {Map<string, Item>} by asset */
    this._byAsset = new Map();
    /** @type {Map<string, Item>} the first file with these bytes */
    this._byDigest = new Map();
    /** @type {Map<State, Set<Item>>} */
    this._inState = new Map();
    /** @type {Set<(item: Item) => void>} */
    this._watchers = new Set();
  }

  /** @param {(item: Item) => void} watcher is called after each change */
  watch(watcher) {
    this._watchers.add(watcher);
  }

  /**
   * @param {Partial<Item> & {path: string, name: string, size: number, type: string, modified: number}} fields
   * @returns {Item | null} null if the file is there already; one that was missing is found again
   */
  add(fields) {
    const key = fileKey(fields);
    const known = this._byFile.get(key);
    if (known) {
      if (known.state === "missing" && fields.file) {
        known.file = fields.file;
        known.handle = fields.handle ?? null;
        this.change(known, known.sha256 ? "hashed" : "waiting");
      }
      return null;
    }
    /** @type {Item} */
    const item = {
      id: (this._lastId += 1), state: "waiting", file: null, handle: null, sha256: "", sent: 0, assetId: "",
      failure: "", detail: "", ...fields,
    }; // prettier-ignore
    this.all.push(item);
    this._byId.set(item.id, item);
    this._byFile.set(key, item);
    if (item.assetId) this._byAsset.set(item.assetId, item);
    this.counts[item.state] += 1;
    if (item.state !== "cancelled") this.bytes += item.size;
    this.bytesSent += STORED.has(item.state) ? item.size : 0;
    this._set(item.state).add(item);
    this._tell(item);
    return item;
  }

  /**
   * @param {Item} item
   * @param {State} state
   * @param {Partial<Pick<Item, "sha256" | "assetId" | "failure" | "detail">>} fields that change with it
   */
  change(item, state, fields = {}) {
    Object.assign(item, { failure: "", detail: "" }, fields);
    if (fields.assetId) this._byAsset.set(fields.assetId, item);
    if (item.state !== state) {
      this.bytes += item.size * (Number(state !== "cancelled") - Number(item.state !== "cancelled"));
      this.counts[item.state] -= 1;
      this.counts[state] += 1;
      this._set(item.state).delete(item);
      this._set(state).add(item);
      item.state = state;
    }
    this.progress(item, STORED.has(state) ? item.size : state === "uploading" ? item.sent : 0);
  }

  /**
   * @param {Item} item
   * @param {number} sent bytes
   */
  progress(item, sent) {
    const bounded = Math.min(sent, item.size);
    this.bytesSent += bounded - item.sent;
    item.sent = bounded;
    this._tell(item);
  }

  /** @param {Item[]} items that are no longer shown */
  remove(items) {
    const gone = new Set(items);
    this.all = this.all.filter((item) => !gone.has(item));
    for (const item of items) {
      this.counts[item.state] -= 1;
      if (item.state !== "cancelled") this.bytes -= item.size;
      this.bytesSent -= item.sent;
      this._set(item.state).delete(item);
      this._byId.delete(item.id);
      this._byFile.delete(fileKey(item));
      if (this._byDigest.get(item.sha256) === item) this._byDigest.delete(item.sha256);
    }
  }

  /**
   * @param {State} state
   * @param {number} most
   * @returns {Item[]} files in this state, the oldest first
   */
  in(state, most = Infinity) {
    const found = [];
    for (const item of this._set(state)) {
      if (found.length >= most) break;
      found.push(item);
    }
    return found;
  }

  /**
   * @param {Item} item
   * @returns {Item | null} another file with the same bytes that came before
   */
  twinOf(item) {
    const first = this._byDigest.get(item.sha256);
    if (!first || first === item || first.state === "cancelled" || first.state === "failed") {
      this._byDigest.set(item.sha256, item);
      return null;
    }
    return first;
  }

  /** @param {number} id */
  get(id) {
    return this._byId.get(id);
  }

  /** @param {string} assetId */
  ofAsset(assetId) {
    return this._byAsset.get(assetId);
  }

  /** Files that are not at an end, and need this page to stay open. */
  get open() {
    const { waiting, hashing, hashed, queued, uploading } = this.counts;
    return waiting + hashing + hashed + queued + uploading;
  }

  /** @param {State} state */
  _set(state) {
    let found = this._inState.get(state);
    if (!found) this._inState.set(state, (found = new Set()));
    return found;
  }

  /** @param {Item} item */
  _tell(item) {
    for (const watcher of this._watchers) watcher(item);
  }
}

/** @param {State} state */
export function hasEnded(state) {
  return ENDED.has(state);
}

/** @param {State} state */
export function isStored(state) {
  return STORED.has(state);
}

/** @param {State} state */
export function isCancellable(state) {
  return CANCELLABLE.has(state);
}

/**
 * @param {{path: string, size: number, modified: number}} file
 * @returns {string} the same for the same file, also after a reload
 */
export function fileKey(file) {
  return `${file.size}:${file.modified}:${file.path}`;
}

/**
 * @param {string} path
 * @returns {string} the folders of a file that was dropped with them, with a slash at the end
 */
export function folderOf(path) {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/**
 * The three phases that people follow.
 * @param {Items} items
 */
export function phasesOf(items) {
  const { uploaded, ready, duplicate, jobFailed, cancelled } = items.counts;
  const searchable = ready + duplicate;
  return { total: items.all.length - cancelled, stored: searchable + uploaded + jobFailed, searchable };
}
