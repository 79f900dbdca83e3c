/**
 * A project's Durable Object: one for each project, one writer at a time. It is the authority for the project's
 * `queue:`, `batch:` and `status:` records, and for who owns a project that has no record yet.
 *
 * What it does not hold yet is read from KV and adopted: another program wrote it before. From then on what it holds
 * is the answer, and KV follows.
 */

import { DurableObject } from "cloudflare:workers";

import { accountObject } from "./account.js";
import { kindOf } from "./keys.js";
import { Mirror } from "./mirror.js";
import { inLanes, namespaceOf } from "./namespaces.js";
import { Table } from "./table.js";
import { sha256 } from "./utf8.js";

/** The object of a project (or of the second part of any other key) in one store: another store starts afresh. */
export function projectObject(env, store, second) {
  return env.NIMBUS_PROJECT.get(env.NIMBUS_PROJECT.idFromName(`${store}:${second}`));
}

/** @typedef {import("./table.js").Write} Write */

export class Project extends DurableObject {
  #table;
  #mirror;

  constructor(ctx, env) {
    super(ctx, env);
    this.#table = new Table(ctx.storage);
    this.#mirror = new Mirror(env, ctx.storage, this.#table);
    ctx.blockConcurrencyWhile(() => this.#mirror.arm());
  }

  /** @returns {Promise<string>} the user who claimed it, "" where nobody did */
  async owner() {
    return this.#table.fact("owner") ?? "";
  }

  /**
   * The first user who claims it has it.
   * @param {string} store which store this is
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
   * Give it to a user, whoever had it, and put it on the user's list of projects.
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

  /** @param {string} key @returns {Promise<{value: Uint8Array, digest: string} | null>} */
  async read(key) {
    const { value, digest } = (await this.#held(key)) ?? {};
    return value ? { value, digest } : null;
  }

  /**
   * @param {string[]} keys
   * @param {number} most bytes that one answer may take
   * @returns {Promise<(Uint8Array | null)[] | null>} null where the values take more
   */
  async readMany(keys, most) {
    let bytes = 0;
    const values = await inLanes(keys, async (key) => {
      const value = bytes > most ? null : ((await this.#held(key))?.value ?? null);
      bytes += value?.byteLength ?? 0;
      return value;
    });
    return bytes > most ? null : values;
  }

  /**
   * Store all of them, or none.
   * @param {string} store which store this is
   * @param {Write[]} writes
   */
  async write(store, writes) {
    this.#table.setFact("store", store);
    this.#table.write(writes);
    await this.#mirror.arm();
  }

  /**
   * Compare and set: in one transaction, store each write whose key holds the expected value.
   * @param {string} store
   * @param {(Write & {expected: string})[]} swaps each key once; `expected` is a digest, "" for no value
   * @returns {Promise<string[]>} the keys of the writes that were stored
   */
  async swap(store, swaps) {
    this.#table.setFact("store", store);
    await inLanes(swaps, ({ key }) => this.#hold(key));
    const swapped = this.#table.swap(swaps);
    await this.#mirror.arm();
    return swapped;
  }

  /**
   * @param {string} prefix with a complete second part
   * @param {string} after the last name of the page before, "" for the first page
   * @param {number} most names
   * @returns {Promise<{names: {name: string, metadata: string}[], more: boolean}>}
   */
  async list(prefix, after, most) {
    await this.#adoptNames(prefix.split(":", 2).join(":") + ":");
    const names = this.#table.names(prefix, after, most + 1);
    return { names: names.slice(0, most), more: names.length > most };
  }

  async alarm() {
    await this.#mirror.round();
  }

  /** @returns {Promise<import("./table.js").Row | undefined>} what is stored under a key, here or else in KV */
  async #held(key) {
    await this.#hold(key);
    return this.#table.read(key);
  }

  /** Adopt what KV holds under a key, unless this object already has its value and digest. */
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
    } else {
      const bytes = new Uint8Array(value);
      this.#table.adopt(key, bytes, await sha256(bytes), metadata === null ? "" : JSON.stringify(metadata));
    }
  }

  /** On the first listing of a kind KV's names come in; afterwards the table has them all. */
  async #adoptNames(prefix) {
    const fact = `adopted:${kindOf(prefix)}`;
    let cursor;
    while (this.#table.fact(fact) === undefined) {
      const page = await namespaceOf(this.env, prefix).list({ prefix, cursor });
      this.#table.adoptNames(
        page.keys.map(({ name, metadata }) => ({ name, metadata: metadata ? JSON.stringify(metadata) : "" })),
      );
      cursor = page.cursor;
      if (page.list_complete) {
        this.#table.setFact(fact, "yes");
      }
    }
  }
}
