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
    const held = await this.#held(key);
    return held ? { value: held.value, digest: held.digest || (await sha256(held.value)) } : null;
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
   * @param {{key: string, value: Uint8Array, metadata: string}[]} writes
   */
  async write(store, writes) {
    this.#table.setFact("store", store);
    this.#table.write(writes);
    await this.#mirror.arm();
  }

  /**
   * Compare and set.
   * @param {string} store
   * @param {{key: string, value: Uint8Array, metadata: string, digest: string}} write
   * @param {string} expected digest of the value that must be there, "" where none may be
   * @returns {Promise<boolean>} whether it was so
   */
  async swap(store, write, expected) {
    this.#table.setFact("store", store);
    for (;;) {
      const held = await this.#held(write.key);
      const digest = held ? held.digest || (await sha256(held.value)) : "";
      if (this.#table.version(write.key) !== (held?.version ?? 0)) {
        continue; // another write came while this one waited; that one got through, so this ends
      }
      if (digest !== expected) {
        return false;
      }
      this.#table.write([write]);
      await this.#mirror.arm();
      return true;
    }
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
    const row = this.#table.read(key);
    if (row) {
      return row;
    }
    const { value, metadata } = await namespaceOf(this.env, key).getWithMetadata(key, "arrayBuffer");
    if (value === null) {
      this.#table.forget(key);
    } else {
      this.#table.adopt(key, new Uint8Array(value), metadata === null ? "" : JSON.stringify(metadata));
    }
    return this.#table.read(key);
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
