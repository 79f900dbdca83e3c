/** A user's Durable Object: the only writer of `projects:{user_id}`, the list of the user's projects in KV. */

import { DurableObject } from "cloudflare:workers";

import { storeId } from "./identity.js";
import { namespaceOf } from "./kv.js";
import { parsed } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/** KV may show an old list for over a minute: projects added in this time are added again. */
const LAG_MS = 300_000;

/** KV takes one write a second to a key; the wait doubles with each failure, up to the longest. */
const WAIT_MS = 1000;
const LONGEST_WAIT_MS = 300_000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS project(
  id TEXT PRIMARY KEY, user TEXT NOT NULL, added INTEGER NOT NULL, written INTEGER NOT NULL
)`;

/** The object of a user in one store. @param {Env} env @param {string} store @param {string} user */
export function accountObject(env, store, user) {
  return env.NIMBUS_ACCOUNT.get(env.NIMBUS_ACCOUNT.idFromName(`${store}:${user}`));
}

/** @extends {DurableObject<Env>} */
export class Account extends DurableObject {
  /** @param {DurableObjectState} ctx @param {Env} env */
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
    void ctx.blockConcurrencyWhile(() => this.#schedule(WAIT_MS));
  }

  /**
   * Add a project. It is durable when this returns, and KV follows.
   * @param {string} store the id of the current store
   * @param {string} user
   * @param {string} project
   */
  async add(store, user, project) {
    await this.ctx.storage.put("store", store);
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO project VALUES (?, ?, ?, 0)", project, user, Date.now());
    await this.#schedule(WAIT_MS);
  }

  async alarm() {
    await this.ctx.storage.setAlarm(Date.now() + LONGEST_WAIT_MS); // if this object dies in the middle
    const sql = this.ctx.storage.sql;
    /** @type {SqlStorageCursor<{id: string, user: string}>} */
    const rows = sql.exec("SELECT id, user FROM project WHERE written = 0");
    const pending = rows.toArray();
    let wait = WAIT_MS;
    try {
      if ((await storeId(this.env)) !== (await this.ctx.storage.get("store"))) {
        await this.ctx.storage.deleteAlarm(); // another namespace is behind the Worker now
        return;
      }
      if (pending[0]) {
        await this.#write(pending[0].user);
      }
      pending.forEach(({ id }) => sql.exec("UPDATE project SET written = 1 WHERE id = ?", id));
    } catch (error) {
      console.error(`KV did not take a list of projects: ${error instanceof Error ? error.message : error}`);
      /** @type {number | undefined} */
      const before = await this.ctx.storage.get("wait");
      wait = Math.min(2 * (before ?? WAIT_MS), LONGEST_WAIT_MS);
    }
    await this.ctx.storage.put("wait", wait);
    await this.ctx.storage.deleteAlarm();
    await this.#schedule(wait);
  }

  /** @param {string} user */
  async #write(user) {
    const key = `projects:${user}`;
    const namespace = namespaceOf(this.env, key);
    /** @type {SqlStorageCursor<{id: string}>} */
    const recent = this.ctx.storage.sql.exec(
      "SELECT id FROM project WHERE written = 0 OR added > ? ORDER BY added, id",
      Date.now() - LAG_MS,
    );
    const listed = parsed(await namespace.get(key));
    const known = Array.isArray(listed) ? listed : [];
    const all = [...new Set([...known, ...recent.toArray().map(({ id }) => id)])];
    if (all.length > known.length) {
      await namespace.put(key, JSON.stringify(all));
    }
  }

  /** Set the alarm if a project is pending and none is set. @param {number} wait ms */
  async #schedule(wait) {
    const { pending } = this.ctx.storage.sql.exec("SELECT count(*) AS pending FROM project WHERE written = 0").one();
    if (pending && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + wait);
    }
  }
}
