/**
 * The records of one Durable Object, in its SQLite. Every method is one synchronous step: nothing comes between.
 *
 * `version` counts the writes of a key and `mirrored` is the last version that KV has; a row with more is waiting.
 * A value's first bytes stand in its row, the rest in rows of `part`, for a row holds 2 MB at most. A row whose `head`
 * is NULL is a name from KV's listing; nobody asked for its value yet.
 */

const CHUNK_BYTES = 1024 * 1024;

/** How long a write waits for others to the same key before it goes to KV, which takes one a second. */
export const WAIT_MS = 1000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS record(
  key TEXT PRIMARY KEY, head BLOB, parts INTEGER NOT NULL, digest TEXT NOT NULL, metadata TEXT NOT NULL,
  version INTEGER NOT NULL, mirrored INTEGER NOT NULL, due INTEGER NOT NULL, failures INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON record(due) WHERE version > mirrored;
CREATE TABLE IF NOT EXISTS part(key TEXT, number INTEGER, bytes BLOB NOT NULL, PRIMARY KEY(key, number));
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

const WRITE = `
INSERT INTO record(key, head, parts, digest, metadata, version, mirrored, due, failures)
VALUES (?, ?, ?, ?, ?, 1, 0, ?, 0)
ON CONFLICT(key) DO UPDATE SET head = excluded.head, parts = excluded.parts, digest = excluded.digest,
  metadata = excluded.metadata, version = version + 1, due = CASE WHEN version > mirrored THEN due ELSE excluded.due END
`;

// Only where nothing was written meanwhile: KV's value is older than ours.
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
 * @property {string} metadata JSON, "" where there is none
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

export class Table {
  #storage;
  #sql;

  /** @param {DurableObjectStorage} storage */
  constructor(storage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(SCHEMA);
  }

  /** @param {string} key @returns {Row | undefined} undefined where KV must be asked */
  read(key) {
    const [row] = this.#sql.exec("SELECT head, parts, metadata, digest, version FROM record WHERE key = ?", key);
    if (!row?.head) {
      return undefined;
    }
    const { metadata, digest, version } = row;
    return { value: row.parts ? this.#whole(key, row.head) : new Uint8Array(row.head), metadata, digest, version };
  }

  /** @param {string} key @returns {string} the digest of its value, "" if there is none */
  digest(key) {
    const [row] = this.#sql.exec("SELECT digest FROM record WHERE key = ? AND head IS NOT NULL", key);
    return row?.digest ?? "";
  }

  /** Add the digest of a value, unless another value was written since. */
  setDigest(key, digest, version) {
    this.#sql.exec("UPDATE record SET digest = ? WHERE key = ? AND version = ?", digest, key, version);
  }

  /** Store all of the writes, or none if one fails. @param {Write[]} writes */
  write(writes) {
    this.#storage.transactionSync(() => this.#write(writes));
  }

  /**
   * Store the writes whose key holds the expected value.
   * @param {(Write & {expected: string})[]} swaps
   * @returns {string[]} their keys
   */
  swap(swaps) {
    return this.#storage.transactionSync(() => {
      const matching = swaps.filter(({ key, expected }) => this.digest(key) === expected);
      this.#write(matching);
      return matching.map(({ key }) => key);
    });
  }

  /** Take over a value from KV, unless this table has one. */
  adopt(key, value, digest, metadata) {
    if (this.digest(key)) {
      return;
    }
    this.#storage.transactionSync(() => {
      const [head, parts] = this.#split(key, value);
      this.#sql.exec(ADOPT, key, head, parts, digest, metadata);
    });
  }

  /** Take over a page of KV's listing. @param {{name: string, metadata: string}[]} names */
  adoptNames(names) {
    this.#storage.transactionSync(() => {
      for (const { name, metadata } of names) {
        this.#sql.exec(`INSERT OR IGNORE INTO record VALUES (?, NULL, 0, '', ?, 1, 1, 0, 0)`, name, metadata);
      }
    });
  }

  /** Forget a name of KV's listing that KV has no value of. @param {string} key */
  forget(key) {
    this.#sql.exec("DELETE FROM record WHERE key = ? AND head IS NULL", key);
  }

  /**
   * @param {string} prefix @param {string} after a name @param {number} most
   * @returns {{name: string, metadata: string}[]} in the order of their bytes
   */
  names(prefix, after, most) {
    const rows = this.#sql.exec(
      "SELECT key AS name, metadata FROM record WHERE key >= ? AND key > ? ORDER BY key LIMIT ?",
      prefix,
      after,
      most,
    );
    return rows.toArray().filter(({ name }) => name.startsWith(prefix));
  }

  /** Keys that wait for KV and are due. @returns {{key: string, bytes: number}[]} the longest due first */
  due(now, most) {
    const query = `SELECT key, length(head) + parts * ${CHUNK_BYTES} AS bytes FROM record
      WHERE version > mirrored AND due <= ? ORDER BY due LIMIT ?`;
    return this.#sql.exec(query, now, most).toArray();
  }

  /** @returns {number | null} when the next key is due, in ms since 1970; null where none waits */
  nextDue() {
    return this.#sql.exec("SELECT min(due) AS due FROM record WHERE version > mirrored").one().due;
  }

  /** KV has this version now. Where the key has changed meanwhile, it goes on waiting. */
  mirrored(key, version, now) {
    const query = "UPDATE record SET mirrored = max(mirrored, ?), due = ?, failures = 0 WHERE key = ?";
    this.#sql.exec(query, version, now + WAIT_MS, key);
  }

  /** KV did not take it. @param {(failures: number) => number} delay ms until the next try */
  postpone(key, now, delay) {
    const { failures } = this.#sql.exec("SELECT failures + 1 AS failures FROM record WHERE key = ?", key).one();
    this.#sql.exec("UPDATE record SET failures = ?, due = ? WHERE key = ?", failures, now + delay(failures), key);
  }

  /** @param {string} name @returns {string | undefined} */
  fact(name) {
    return this.#sql.exec("SELECT value FROM fact WHERE name = ?", name).toArray()[0]?.value;
  }

  /** @param {string} name @param {string} value */
  setFact(name, value) {
    if (this.fact(name) !== value) {
      this.#sql.exec("INSERT OR REPLACE INTO fact VALUES (?, ?)", name, value);
    }
  }

  #write(writes) {
    const due = Date.now() + WAIT_MS;
    for (const { key, value, metadata, digest } of writes) {
      const [head, parts] = this.#split(key, value);
      this.#sql.exec(WRITE, key, head, parts, digest, metadata, due);
    }
  }

  #split(key, value) {
    this.#sql.exec("DELETE FROM part WHERE key = ?", key);
    let parts = 0;
    for (let at = CHUNK_BYTES; at < value.byteLength; at += CHUNK_BYTES) {
      this.#sql.exec("INSERT INTO part VALUES (?, ?, ?)", key, parts++, value.slice(at, at + CHUNK_BYTES));
    }
    return [value.slice(0, CHUNK_BYTES), parts];
  }

  #whole(key, head) {
    const pieces = [head];
    for (const { bytes } of this.#sql.exec("SELECT bytes FROM part WHERE key = ? ORDER BY number", key)) {
      pieces.push(bytes);
    }
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(new Uint8Array(piece), at);
      at += piece.byteLength;
    }
    return whole;
  }
}
