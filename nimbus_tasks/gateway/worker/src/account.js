/** A user's Durable Object: the one writer of `projects:{user_id}`, the list of the user's projects in KV. */

import { DurableObject } from "cloudflare:workers";

import { parsed } from "./auth.js";
import { storeId } from "./identity.js";
import { namespaceOf } from "./namespaces.js";

/** KV may show an old list for a minute and more: what was added meanwhile is added again. */
const LAG_MS = 300_000;

/** KV takes one write a second to a key; where it fails, wait twice as long each time, up to the longest. */
const WAIT_MS = 1000;
const LONGEST_WAIT_MS = 300_000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS project(
  id TEXT PRIMARY KEY, user TEXT NOT NULL, added INTEGER NOT NULL, written INTEGER NOT NULL
)`;

/** The object of a user in one store. */
export function accountObject(env, store, user) {
  return env.NIMBUS_ACCOUNT.get(env.NIMBUS_ACCOUNT.idFromName(`${store}:${user}`));
}

export class Account extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
    ctx.blockConcurrencyWhile(() => this.#arm(WAIT_MS));
  }

  /**
   * Durable as soon as this returns; KV follows.
   * @param {string} store which store this is
   * @param {string} user
   * @param {string} project
   */
  async add(store, user, project) {
    await this.ctx.storage.put("store", store);
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO project VALUES (?, ?, ?, 0)", project, user, Date.now());
    await this.#arm(WAIT_MS);
  }

  async alarm() {
    await this.ctx.storage.setAlarm(Date.now() + LONGEST_WAIT_MS); // should this object die in the middle
    const sql = this.ctx.storage.sql;
    const waiting = sql.exec("SELECT id, user FROM project WHERE written = 0").toArray();
    let wait = WAIT_MS;
    try {
      if ((await storeId(this.env)) !== (await this.ctx.storage.get("store"))) {
        await this.ctx.storage.deleteAlarm(); // another namespace is behind the Worker now
        return;
      }
      if (waiting.length) {
        await this.#write(waiting[0].user);
      }
      waiting.forEach(({ id }) => sql.exec("UPDATE project SET written = 1 WHERE id = ?", id));
    } catch (error) {
      console.error(`KV did not take a list of projects: ${error instanceof Error ? error.message : error}`);
      wait = Math.min(2 * ((await this.ctx.storage.get("wait")) ?? WAIT_MS), LONGEST_WAIT_MS);
    }
    await this.ctx.storage.put("wait", wait);
    await this.ctx.storage.deleteAlarm();
    await this.#arm(wait);
  }

  async #write(user) {
    const key = `projects:${user}`;
    const namespace = namespaceOf(this.env, key);
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

  /** @param {number} wait ms */
  async #arm(wait) {
    const { waiting } = this.ctx.storage.sql.exec("SELECT count(*) AS waiting FROM project WHERE written = 0").one();
    if (waiting && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + wait);
    }
  }
}
