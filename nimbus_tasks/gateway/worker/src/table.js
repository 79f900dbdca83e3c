/**
 * The records of one Durable Object, in its SQLite. Every method is synchronous: no other request runs in between.
 *
 * `version` counts the writes of a key, and `mirrored` is the last version that KV has; a row with more is pending. A
 * row holds the first bytes of a value, and rows of `part` the rest, because SQLite limits a row to 2 MB here. A row
 * whose `head` is NULL is a name from KV's listing whose value was not read yet.
 */

const CHUNK_BYTES = 1024 * 1024;

/** How long a write waits for others to its key before it goes to KV, which takes one a second. */
export const WAIT_MS = 1000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS record(
  key TEXT PRIMARY KEY, head BLOB, parts INTEGER NOT NULL, digest TEXT NOT NULL, metadata TEXT NOT NULL,
  version INTEGER NOT NULL, mirrored INTEGER NOT NULL, due INTEGER NOT NULL, failures INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON record(due) WHERE version > mirrored;
CREATE TABLE IF NOT EXISTS part(key TEXT, number INTEGER, bytes BLOB NOT NULL, PRIMARY KEY(key, number));
CREATE TABLE IF NOT EXISTS pointer(key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

const WRITE = `
INSERT INTO record(key, head, parts, digest, metadata, version, mirrored, due, failures)
VALUES (?, ?, ?, ?, ?, 1, 0, ?, 0)
ON CONFLICT(key) DO UPDATE SET head = excluded.head, parts = excluded.parts, digest = excluded.digest,
  metadata = excluded.metadata, version = version + 1, due = CASE WHEN version > mirrored THEN due ELSE excluded.due END
`;

// Only if nothing was written meanwhile: KV's value is older than ours.
const ADOPT = `
INSERT INTO record(key, head, parts, digest, metadata, version, mirrored, due, failures)
VALUES (?, ?, ?, ?, ?, 1, 1, 0, 0)
ON CONFLICT(key) DO UPDATE SET head = excluded.head, parts = excluded.parts, digest = excluded.digest,
  metadata = excluded.metadata
WHERE head IS NULL
`;

/**
 * @typedef {object} Row
 * @property {Uint8Array} value UTF-8
 * @property {string} metadata JSON, "" if there is none
 * @property {string} digest SHA-256 of the value in hex, "" in rows of an earlier release
 * @property {number} version
 */

/**
 * @typedef {object} Write
 * @property {string} key
 * @property {Uint8Array} value UTF-8
 * @property {string} metadata JSON, "" if there is none
 * @property {string} digest SHA-256 of the value in hex
 */

/** @typedef {Write & {expected: string}} Swap `expected` is a digest, "" for no value */

export class Table {
  #storage;
  #sql;

  /** @param {DurableObjectStorage} storage */
  constructor(storage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(SCHEMA);
  }

  /** @param {string} key @returns {Row | undefined} undefined if KV must be asked */
  read(key) {
    /** @type {SqlStorageCursor<{head: ArrayBuffer | null, parts: number} & Omit<Row, "value">>} */
    const rows = this.#sql.exec("SELECT head, parts, metadata, digest, version FROM record WHERE key = ?", key);
    const [row] = rows;
    if (!row?.head) {
      return undefined;
    }
    const { head, parts, ...rest } = row;
    return { value: parts ? this.#join(key, head) : new Uint8Array(head), ...rest };
  }

  /** @param {string} key @returns {string} the digest of its value, "" if there is none */
  digest(key) {
    /** @type {SqlStorageCursor<{digest: string}>} */
    const rows = this.#sql.exec("SELECT digest FROM record WHERE key = ? AND head IS NOT NULL", key);
    return rows.toArray()[0]?.digest ?? "";
  }

  /**
   * Add the digest of a value, unless another value was written since.
   * @param {string} key
   * @param {string} digest
   * @param {number} version
   */
  setDigest(key, digest, version) {
    this.#sql.exec("UPDATE record SET digest = ? WHERE key = ? AND version = ?", digest, key, version);
  }

  /** Store all of the writes, or none if one fails. @param {Write[]} writes */
  write(writes) {
    this.#storage.transactionSync(() => this.#write(writes));
  }

  /** Store the writes whose key holds the expected value. @param {Swap[]} swaps @returns {string[]} their keys */
  swap(swaps) {
    return this.#storage.transactionSync(() => {
      const matching = swaps.filter(({ key, expected }) => this.digest(key) === expected);
      this.#write(matching);
      return matching.map(({ key }) => key);
    });
  }

  /** Take over a value from KV, unless this table has one. @param {Write} write */
  adopt({ key, value, digest, metadata }) {
    if (this.digest(key)) {
      return;
    }
    this.#storage.transactionSync(() => {
      const { head, parts } = this.#split(key, value);
      this.#sql.exec(ADOPT, key, head, parts, digest, metadata);
    });
  }

  /** Take over a page of KV's listing. @param {{name: string, metadata: string}[]} names */
  adoptNames(names) {
    this.#storage.transactionSync(() => {
      for (const { name, metadata } of names) {
        this.#sql.exec("INSERT OR IGNORE INTO record VALUES (?, NULL, 0, '', ?, 1, 1, 0, 0)", name, metadata);
      }
    });
  }

  /** Forget a name of KV's listing that has no value there. @param {string} key */
  forget(key) {
    this.#sql.exec("DELETE FROM record WHERE key = ? AND head IS NULL", key);
  }

  /**
   * @param {string} prefix
   * @param {string} after a name
   * @param {number} most
   * @returns {{name: string, metadata: string}[]} in the order of their bytes
   */
  names(prefix, after, most) {
    /** @type {SqlStorageCursor<{name: string, metadata: string}>} */
    const rows = this.#sql.exec(
      "SELECT key AS name, metadata FROM record WHERE key >= ? AND key > ? ORDER BY key LIMIT ?",
      prefix,
      after,
      most,
    );
    return rows.toArray().filter(({ name }) => name.startsWith(prefix));
  }

  /** Add the key of a pointer that belongs to this project. @param {string} key */
  addPointer(key) {
    this.#sql.exec("INSERT OR IGNORE INTO pointer VALUES (?)", key);
  }

  /**
   * @param {string} prefix
   * @param {string} after a name
   * @param {number} most
   * @returns {{name: string, metadata: string}[]}
   */
  pointers(prefix, after, most) {
    const query = "SELECT key AS name FROM pointer WHERE key >= ? AND key > ? ORDER BY key LIMIT ?";
    /** @type {SqlStorageCursor<{name: string}>} */
    const rows = this.#sql.exec(query, prefix, after, most);
    return rows.toArray().flatMap(({ name }) => (name.startsWith(prefix) ? { name, metadata: "" } : []));
  }

  /**
   * Return the pending keys that are due, the longest due first.
   * @param {number} now
   * @param {number} most
   * @returns {{key: string, bytes: number}[]}
   */
  due(now, most) {
    const query = `SELECT key, length(head) + parts * ${CHUNK_BYTES} AS bytes FROM record
      WHERE version > mirrored AND due <= ? ORDER BY due LIMIT ?`;
    /** @type {SqlStorageCursor<{key: string, bytes: number}>} */
    const rows = this.#sql.exec(query, now, most);
    return rows.toArray();
  }

  /** @returns {number | null} when the next key is due, in ms since 1970; null if none is pending */
  nextDue() {
    /** @type {SqlStorageCursor<{due: number | null}>} */
    const rows = this.#sql.exec("SELECT min(due) AS due FROM record WHERE version > mirrored");
    return rows.one().due;
  }

  /**
   * Note that KV has this version. A key that changed since stays pending.
   * @param {string} key
   * @param {number} version
   * @param {number} now
   */
  mirrored(key, version, now) {
    const query = "UPDATE record SET mirrored = max(mirrored, ?), due = ?, failures = 0 WHERE key = ?";
    this.#sql.exec(query, version, now + WAIT_MS, key);
  }

  /**
   * Note that KV did not take it.
   * @param {string} key
   * @param {number} now
   * @param {(failures: number) => number} delay ms until the next attempt
   */
  postpone(key, now, delay) {
    /** @type {SqlStorageCursor<{failures: number}>} */
    const rows = this.#sql.exec("SELECT failures + 1 AS failures FROM record WHERE key = ?", key);
    const { failures } = rows.one();
    this.#sql.exec("UPDATE record SET failures = ?, due = ? WHERE key = ?", failures, now + delay(failures), key);
  }

  /** @param {string} name @returns {string | undefined} */
  fact(name) {
    /** @type {SqlStorageCursor<{value: string}>} */
    const rows = this.#sql.exec("SELECT value FROM fact WHERE name = ?", name);
    return rows.toArray()[0]?.value;
  }

  /** @param {string} name @param {string} value */
  setFact(name, value) {
    if (this.fact(name) !== value) {
      this.#sql.exec("INSERT OR REPLACE INTO fact VALUES (?, ?)", name, value);
    }
  }

  /** @param {Write[]} writes */
  #write(writes) {
    const due = Date.now() + WAIT_MS;
    for (const { key, value, metadata, digest } of writes) {
      const { head, parts } = this.#split(key, value);
      this.#sql.exec(WRITE, key, head, parts, digest, metadata, due);
    }
  }

  /** @param {string} key @param {Uint8Array} value */
  #split(key, value) {
    this.#sql.exec("DELETE FROM part WHERE key = ?", key);
    let parts = 0;
    for (let at = CHUNK_BYTES; at < value.byteLength; at += CHUNK_BYTES) {
      this.#sql.exec("INSERT INTO part VALUES (?, ?, ?)", key, parts++, value.slice(at, at + CHUNK_BYTES));
    }
    return { head: value.slice(0, CHUNK_BYTES), parts };
  }

  /** @param {string} key @param {ArrayBuffer} head */
  #join(key, head) {
    /** @type {SqlStorageCursor<{bytes: ArrayBuffer}>} */
    const rows = this.#sql.exec("SELECT bytes FROM part WHERE key = ? ORDER BY number", key);
    const pieces = [head, ...rows.toArray().map(({ bytes }) => bytes)];
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(new Uint8Array(piece), at);
      at += piece.byteLength;
    }
    return whole;
  }
}
