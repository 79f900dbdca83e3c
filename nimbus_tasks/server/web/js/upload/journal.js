/**
 * What of an upload survives a reload: IndexedDB keeps the list of files, their digests and states. A file's bytes are
 * not kept. Where the browser gives a handle, the file is read again by it; else it must be chosen again.
 *
 * Each tab has a session of its own and holds a lock with its name: a session whose lock is free was left by a tab that
 * is gone, and the next one of the same user takes it over.
 */

/** @typedef {import("./items.js").Item} Item */
/** @typedef {Omit<Item, "file" | "id" | "sent"> & {key: string, session: string, user: string}} Saved */

const DATABASE = "nimbus-uploads";
const STORE = "items";
/** Milliseconds between two writes: thousands of changes become a few transactions. */
const WRITE_EVERY = 500;
/** Files in one transaction: the page does nothing else until all of them are copied. */
const WRITTEN_AT_ONCE = 100;

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

export class Journal {
  /**
   * @param {IDBDatabase} database
   * @param {string} user
   * @param {string} session
   */
  constructor(database, user, session) {
    this._database = database;
    this._user = user;
    this._session = session;
    /** @type {Map<string, Saved>} */
    this._changed = new Map();
    this._timer = 0;
    /** @type {Promise<void>} one after the other: the newest state of a file must be the last that is written */
    this._writing = Promise.resolve();
  }

  /**
   * @param {string} user whose files are kept: others may log in with this browser
   * @returns {Promise<Journal>}
   */
  static async open(user) {
    const request = indexedDB.open(DATABASE, 1);
    request.addEventListener("upgradeneeded", () => {
      const store = request.result.createObjectStore(STORE, { keyPath: ["session", "key"] });
      store.createIndex("session", "session");
    });
    const session = crypto.randomUUID();
    // Held until this tab is gone.
    void navigator.locks.request(lockName(session), () => new Promise(() => {}));
    return new Journal(await done(request), user, session);
  }

  /** @returns {Promise<Saved[]>} the user's files of tabs that are gone; they belong to this one now */
  async takeOver() {
    const held = new Set((await navigator.locks.query()).held?.map((lock) => lock.name));
    const store = this._database.transaction(STORE, "readwrite").objectStore(STORE);
    /** @type {Saved[]} */
    const all = await done(store.getAll());
    const left = all.filter((saved) => saved.user === this._user && !held.has(lockName(saved.session)));
    for (const saved of left) {
      store.delete([saved.session, saved.key]);
      store.put({ ...saved, session: this._session });
    }
    return left;
  }

  /**
   * @param {string} key of the file
   * @param {Item} item
   */
  save(key, item) {
    const { path, name, size, type, modified, state, handle, sha256, assetId, failure, detail } = item;
    const { _session: session, _user: user } = this;
    this._changed.set(key, { key, session, user, path, name, size, type, modified, state, handle, sha256, assetId, failure, detail }); // prettier-ignore
    if (!this._timer) this._timer = setTimeout(() => this.flush(), WRITE_EVERY);
  }

  /**
   * Write what has changed.
   * @param {number} atOnce files in one transaction
   */
  flush(atOnce = WRITTEN_AT_ONCE) {
    clearTimeout(this._timer);
    this._timer = 0;
    const changed = [...this._changed.values()];
    this._changed.clear();
    for (let start = 0; start < changed.length; start += atOnce) {
      const some = changed.slice(start, start + atOnce);
      this._write((store) => some.forEach((saved) => store.put(saved)));
    }
  }

  /** @param {string[]} keys of files that are no longer shown */
  forget(keys) {
    for (const key of keys) this._changed.delete(key);
    this._write((store) => keys.forEach((key) => store.delete([this._session, key])));
  }

  /** @param {(store: IDBObjectStore) => void} change */
  _write(change) {
    this._writing = this._writing.then(
      () =>
        new Promise((resolve) => {
          const writing = this._database.transaction(STORE, "readwrite");
          change(writing.objectStore(STORE));
          // A full disk or a private window: the upload goes on, only a reload would lose its list.
          for (const ended of ["complete", "abort"]) writing.addEventListener(ended, () => resolve());
        }),
    );
  }
}

/** @param {string} session */
function lockName(session) {
  return `nimbus-upload:${session}`;
}
