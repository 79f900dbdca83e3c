/**
 * The id of the store behind this Worker: 32 random hex digits, kept in KV itself under `store:identity`, so that
 * another namespace behind the same URL is another store. One Durable Object makes it, so that first requests agree.
 */

import { DurableObject } from "cloudflare:workers";

import { Refusal } from "./answers.js";
import { IDENTITY } from "./keys.js";
import { homeOf } from "./kv.js";
import { hex } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/** How long the object trusts its own memory: KV may show nothing for over a minute after a write. */
const LAG_MS = 300_000;

const SHAPE = /^[0-9a-f]{32}$/;

/** Valid while this isolate lives: a Worker with other namespaces is another deployment, with new isolates. */
let known = "";

/** @param {Env} env @returns {Promise<string>} */
export async function storeId(env) {
  if (known === "") {
    const found = (await home(env).get(IDENTITY)) ?? "";
    if (!SHAPE.test(found)) {
      return env.NIMBUS_IDENTITY.get(env.NIMBUS_IDENTITY.idFromName("")).make();
    }
    known = found;
  }
  return known;
}

/** @param {Env} env @returns {KVNamespace} */
function home(env) {
  const binding = homeOf(env);
  if (!binding) {
    throw new Refusal("store_unavailable", "This Worker has neither the namespace NIMBUS_KV nor NIMBUS_PAGES.");
  }
  return env[binding];
}

/** @extends {DurableObject<Env>} */
export class Identity extends DurableObject {
  /** @type {Promise<string> | undefined} */
  #making;

  /** @returns {Promise<string>} the id, which is in KV when this returns */
  async make() {
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    return this.#making;
  }

  async #make() {
    const namespace = home(this.env);
    const found = (await namespace.get(IDENTITY)) ?? "";
    if (SHAPE.test(found)) {
      return found;
    }
    /** @type {{id: string, stored: number} | undefined} */
    const made = await this.ctx.storage.get("made");
    // Stored long ago and not there now: this is another namespace than the one it was stored in.
    const id = made && (!made.stored || Date.now() - made.stored < LAG_MS) ? made.id : random();
    if (made?.id !== id || !made.stored) {
      await this.ctx.storage.put("made", { id, stored: 0 });
      await namespace.put(IDENTITY, id);
      await this.ctx.storage.put("made", { id, stored: Date.now() });
    }
    return id;
  }
}

const random = () => hex(crypto.getRandomValues(new Uint8Array(16)));
