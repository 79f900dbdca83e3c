/**
 * What an API key reaches: its own user's projects, and three records about that user. The owner of a project is the
 * `user_id` of its record; if there is none, the first user who writes claims it in the project's Durable Object. A
 * pointer belongs to the project for which it was written first.
 */

import { Refusal } from "./answers.js";
import { Cache } from "./cache.js";
import { IDENTITY, isKey, isOfKind, isPointer, isWithinOne, kindOf, projectOf } from "./keys.js";
import { inParallel, namespaceOf } from "./kv.js";
import { projectObject } from "./project.js";
import { parsed } from "./utf8.js";

/**
 * The sender of one request, and the store it is for.
 * @typedef {object} Visit
 * @property {import("./kv.js").Env} env
 * @property {import("./auth.js").Caller} caller
 * @property {string} store
 * @property {import("./load.js").Load} load
 * @property {string} project the project that pointers are written and listed for, "" if none is named
 */

/** @typedef {import("./body.js").Pair} Pair */

/** The owner of a project whose record names none: no user has this id. */
const NO_USER = "";

/** @type {Cache<string>} project -> its owner */
const owners = new Cache();

/** @type {Cache<string>} pointer -> the project that it belongs to */
const holders = new Cache();

/**
 * Check that the caller may read these keys.
 * @param {Visit} visit
 * @param {string[]} keys
 * @returns {Promise<Set<string>>} those without an owner, which no user is shown
 */
export async function checkRead(visit, keys) {
  const { caller } = visit;
  if (caller.admin) {
    return new Set();
  }
  const own = new Set(["user", "projects", "apikeys"].map((kind) => `${kind}:${caller.user}`));
  /** @type {Map<string, string>} the keys of projects */
  const projects = new Map();
  /** @type {Set<string>} */
  const unowned = new Set();
  await inParallel(
    keys.filter((key) => !own.has(key)),
    async (key) => {
      const project = isPointer(key) ? await holderOf(visit, key) : projectOf(key);
      if (isPointer(key) && project === "") {
        unowned.add(key);
      } else {
        projects.set(key, project);
      }
    },
  );
  const without = await unownedOf(visit, projects.values());
  projects.forEach((project, key) => without.has(project) && unowned.add(key));
  return unowned;
}

/**
 * Return a check of the keys of a bulk request while they come: another user's key refuses the rest unread.
 * @param {Visit} visit
 * @returns {import("./body.js").Check}
 */
export function checkEach(visit) {
  /** @type {Set<string>} */
  const checked = new Set();
  return async (key) => {
    const name = isPointer(key) ? key : projectOf(key);
    if (isKey(key) && !checked.has(name)) {
      await checkRead(visit, [key]);
      checked.add(name);
    }
  };
}

/**
 * Check that the caller may write all of these, and claim the projects without an owner and the pointers without a project.
 * @param {Visit} visit
 * @param {Pair[]} pairs that KV would accept
 */
export async function checkWrite(visit, pairs) {
  const { caller, store, env } = visit;
  const pointers = pairs.map(({ key }) => key).filter(isPointer);
  if (pairs.some(({ key }) => key === IDENTITY)) {
    throw new Refusal("forbidden", `Only the Worker itself writes ${IDENTITY}.`);
  }
  const records = pairs.filter(({ key }) => kindOf(key) === "project" && projectOf(key));
  if (caller.admin) {
    await inParallel(records, (record) => assign(visit, record));
    await claimPointers(visit, pointers);
    return;
  }
  if (pointers.length && !visit.project) {
    throw new Refusal("bad_request", "A pointer is written for a project: send its id as Nimbus-Project.");
  }
  const unowned = await unownedOf(
    visit,
    pairs.map(({ key }) => (isPointer(key) ? visit.project : projectOf(key))),
  );
  if (records.some(({ value }) => parsed(value)?.user_id !== caller.user)) {
    throw new Refusal("forbidden", "A project's record must name the user of this API key as its user_id.");
  }
  await inParallel([...unowned], async (project) => {
    const owner = await projectObject(env, store, project).claim(store, project, caller.user);
    if (owner !== caller.user) {
      throw ownedByAnother(project);
    }
    owners.set(env, project, owner);
  });
  await claimPointers(visit, pointers);
}

/**
 * Check that the caller may list this prefix. A user's listing must lie within one project.
 * @param {Visit} visit
 * @param {string} prefix
 * @returns {Promise<boolean>} whether the project has an owner
 */
export async function checkList(visit, prefix) {
  if (!visit.caller.admin && visit.project && !isOfKind(prefix)) {
    return (await unownedOf(visit, [visit.project])).size === 0;
  }
  if (!visit.caller.admin && !isWithinOne(prefix)) {
    throw new Refusal("forbidden", "An API key lists one project's keys: a prefix such as page:proj_0123456789ab:.");
  }
  return (await checkRead(visit, [prefix])).size === 0;
}

/**
 * @param {Visit} visit
 * @param {Iterable<string>} all projects, "" for what belongs to none
 * @returns {Promise<Set<string>>} those without an owner
 */
async function unownedOf(visit, all) {
  const projects = new Set(all);
  if (projects.has("")) {
    throw new Refusal("forbidden", "An API key reaches the keys of its own user's projects only.");
  }
  /** @type {Set<string>} */
  const unowned = new Set();
  await inParallel([...projects], async (project) => {
    const owner = await ownerOf(visit, project);
    if (owner === undefined) {
      unowned.add(project);
    } else if (owner !== visit.caller.user) {
      throw ownedByAnother(project);
    }
  });
  return unowned;
}

/** @param {Visit} visit @param {string} project @returns {Promise<string | undefined>} undefined: no owner yet */
async function ownerOf({ env, store }, project) {
  const known = owners.get(project);
  if (known !== undefined) {
    return known;
  }
  const key = `project:${project}`;
  const record = await namespaceOf(env, key).get(key);
  const owner = record === null ? await projectObject(env, store, project).owner() : userOf(record);
  if (record === null && owner === "") {
    return undefined;
  }
  owners.set(env, project, owner);
  return owner;
}

/** @param {Visit} visit @param {string} pointer @returns {Promise<string>} its project, "" if there is none */
async function holderOf({ env, store }, pointer) {
  const holder = holders.get(pointer) ?? (await projectObject(env, store, pointer).holder());
  if (holder !== "") {
    holders.set(env, pointer, holder);
  }
  return holder;
}

/**
 * Claim pointers for the project of this request. The admin may write them for none.
 * @param {Visit} visit
 * @param {string[]} pointers
 */
async function claimPointers({ env, store, project }, pointers) {
  await inParallel(project ? pointers : [], async (pointer) => {
    if ((await projectObject(env, store, pointer).claimPointer(store, pointer, project)) !== project) {
      throw new Refusal("forbidden", `The pointer ${pointer} belongs to another project.`);
    }
  });
}

/**
 * Apply a project record of the admin at once, however late KV shows it.
 * @param {Visit} visit
 * @param {Pair} record
 */
async function assign({ env, store }, { key, value }) {
  const project = projectOf(key);
  const user = userOf(value);
  if (user !== NO_USER) {
    await projectObject(env, store, project).assign(store, project, user);
  }
  owners.delete(project);
}

/** @param {string} record @returns {string} */
function userOf(record) {
  const user = parsed(record)?.user_id;
  return typeof user === "string" ? user : NO_USER;
}

/** @param {string} project */
const ownedByAnother = (project) => new Refusal("forbidden", `The project ${project} belongs to another user.`);
