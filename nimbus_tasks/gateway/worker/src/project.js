/**
 * A project's Durable Object: one for each project, one writer at a time. It is the authority for the project's
 * `queue:`, `batch:` and `status:` records, for the names of its pointers, and for the owner of a project that has no
 * record yet. A pointer has an object of its own, named by its key: its record, and the project that it belongs to.
 *
 * A record that it does not hold yet is adopted from KV, where another program wrote it before. From then on its own
 * copy is the answer, and KV follows.
 */

import { DurableObject } from "cloudflare:workers";

import { accountObject } from "./account.js";
import { kindOf } from "./keys.js";
import { inParallel, namespaceOf } from "./kv.js";
import { Mirror } from "./mirror.js";
import { Table } from "./table.js";
import { sha256 } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/**
 * The object of a project (or of the second part of any other key). Another store has other objects.
 * @param {Env} env
 * @param {string} store
 * @param {string} second
 */
export function projectObject(env, store, second) {
  return env.NIMBUS_PROJECT.get(env.NIMBUS_PROJECT.idFromName(`${store}:${second}`));
}

/** @extends {DurableObject<Env>} */
export class Project extends DurableObject {
  #table;
  #mirror;

  /** @param {DurableObjectState} ctx @param {Env} env */
  constructor(ctx, env) {
    super(ctx, env);
    this.#table = new Table(ctx.storage);
    this.#mirror = new Mirror(env, ctx.storage, this.#table);
    void ctx.blockConcurrencyWhile(() => this.#mirror.schedule());
  }

  /** @returns {Promise<string>} the user who claimed the project, "" if there is none */
  async owner() {
    return this.#table.fact("owner") ?? "";
  }

  /**
   * Give the project to the user, unless another user claimed it first.
   * @param {string} store the id of the current store
   * @param {string} project
   * @param {string} user
   * @returns {Promise<string>} the owner
   */
  async claim(store, project, user) {
    const owner = this.#table.fact("owner") ?? user;
    if (owner === user) {
      await this.assign(store, project, user);
    }
    return owner;
  }

  /**
   * Give the project to a user, whatever its owner, and add it to the user's list of projects.
   * @param {string} store
   * @param {string} project
   * @param {string} user
   */
  async assign(store, project, user) {
    this.#table.setFact("owner", user);
    if (this.#table.fact("announced") !== user) {
      await accountObject(this.env, store, user).add(store, user, project);
      this.#table.setFact("announced", user);
    }
  }

  /** @returns {Promise<string>} the project that this pointer belongs to, "" if there is none */
  async holder() {
    return this.#table.fact("project") ?? "";
  }

  /**
   * Give this pointer to the project, unless another project wrote it first.
   * @param {string} store
   * @param {string} key of this pointer
   * @param {string} project
   * @returns {Promise<string>} the project that it belongs to
   */
  async claimPointer(store, key, project) {
    const holder = this.#table.fact("project") ?? project;
    this.#table.setFact("project", holder);
    if (holder === project && this.#table.fact("announced") === undefined) {
      await projectObject(this.env, store, project).addPointer(key);
      this.#table.setFact("announced", project);
    }
    return holder;
  }

  /** @param {string} key of a pointer that belongs to this project */
  async addPointer(key) {
    this.#table.addPointer(key);
  }

  /** @param {string} key @returns {Promise<{value: Uint8Array, digest: string} | null>} */
  async read(key) {
    await this.#hold(key);
    const row = this.#table.read(key);
    return row ? { value: row.value, digest: row.digest } : null;
  }

  /**
   * @param {string[]} keys
   * @param {number} most bytes that the answer may take
   * @returns {Promise<(Uint8Array | null)[] | null>} null if the values take more
   */
  async readMany(keys, most) {
    let bytes = 0;
    const values = await inParallel(keys, async (key) => {
      const value = bytes > most ? null : ((await this.read(key))?.value ?? null);
      bytes += value?.byteLength ?? 0;
      return value;
    });
    return bytes > most ? null : values;
  }

  /**
   * Store all of the writes, or none if one fails.
   * @param {string} store
   * @param {import("./table.js").Write[]} writes
   */
  async write(store, writes) {
    this.#table.setFact("store", store);
    this.#table.write(writes);
    await this.#mirror.schedule();
  }

  /**
   * Compare and set: in one transaction, store each write whose key holds the expected value.
   * @param {string} store
   * @param {import("./table.js").Swap[]} swaps of different keys
   * @returns {Promise<string[]>} the keys that were stored
   */
  async swap(store, swaps) {
    this.#table.setFact("store", store);
    await inParallel(swaps, ({ key }) => this.#hold(key));
    const swapped = this.#table.swap(swaps);
    await this.#mirror.schedule();
    return swapped;
  }

  /**
   * @param {string} prefix with a complete second part
   * @param {string} after the last name of the previous page, "" for the first page
   * @param {number} most names
   * @returns {Promise<{names: {name: string, metadata: string}[], more: boolean}>}
   */
  async list(prefix, after, most) {
    await this.#adoptNames(prefix.split(":", 2).join(":") + ":");
    const names = this.#table.names(prefix, after, most + 1);
    return { names: names.slice(0, most), more: names.length > most };
  }

  /**
   * The names of this project's pointers, as `list` gives others.
   * @param {string} prefix
   * @param {string} after
   * @param {number} most
   * @returns {Promise<{names: {name: string, metadata: string}[], more: boolean}>}
   */
  async listPointers(prefix, after, most) {
    const names = this.#table.pointers(prefix, after, most + 1);
    return { names: names.slice(0, most), more: names.length > most };
  }

  async alarm() {
    await this.#mirror.round();
  }

  /** Adopt what KV holds under a key, unless this object has its value and digest. @param {string} key */
  async #hold(key) {
    if (this.#table.digest(key)) {
      return;
    }
    const row = this.#table.read(key);
    if (row) {
      // An earlier release stored some values without their digest.
      this.#table.setDigest(key, await sha256(row.value), row.version);
      return;
    }
    const { value, metadata } = await namespaceOf(this.env, key).getWithMetadata(key, "arrayBuffer");
    if (value === null) {
      this.#table.forget(key);
      return;
    }
    const bytes = new Uint8Array(value);
    const digest = await sha256(bytes);
    this.#table.adopt({ key, value: bytes, digest, metadata: metadata === null ? "" : JSON.stringify(metadata) });
  }

  /** Adopt KV's names on the first listing of a kind; later the table has them all. @param {string} prefix */
  async #adoptNames(prefix) {
    const fact = `adopted:${kindOf(prefix)}`;
    let cursor;
    while (this.#table.fact(fact) === undefined) {
      /** @type {KVNamespaceListResult<unknown>} */
      const page = await namespaceOf(this.env, prefix).list({ prefix, cursor });
      this.#table.adoptNames(
        page.keys.map(({ name, metadata }) => ({ name, metadata: metadata ? JSON.stringify(metadata) : "" })),
      );
      if (page.list_complete) {
        this.#table.setFact(fact, "yes");
        return;
      }
      cursor = page.cursor;
    }
  }
}
