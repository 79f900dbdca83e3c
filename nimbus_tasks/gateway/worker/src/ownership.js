/**
 * What an API key reaches: its own user's projects, and three records about that user. The owner of a project is the
 * `user_id` of its record; where there is none, the first to write claims it in the project's Durable Object.
 */

import { Refusal } from "./answers.js";
import { parsed } from "./auth.js";
import { IDENTITY, isWithinOne, kindOf, projectOf } from "./keys.js";
import { inLanes, namespaceOf } from "./namespaces.js";
import { projectObject } from "./project.js";
import { Remembered } from "./remembered.js";

/**
 * @typedef {object} Visit one request: whose, and in which store
 * @property {Record<string, any>} env
 * @property {import("./auth.js").Caller} caller
 * @property {string} store
 */

/** The owner of a project whose record names none: nobody has this id. */
const NOBODY = "";

/** @type {Remembered<string>} project -> its owner */
const owners = new Remembered();

/**
 * Let a read pass, or refuse it.
 * @param {Visit} visit
 * @param {string[]} keys
 * @returns {Promise<Set<string>>} the projects among them that nobody owns: a user is shown nothing of them
 */
export async function checkRead(visit, keys) {
  const { caller } = visit;
  if (caller.admin) {
    return new Set();
  }
  const own = new Set(["user", "projects", "apikeys"].map((kind) => `${kind}:${caller.user}`));
  return unownedOf(visit, keys.filter((key) => !own.has(key)));
}

/**
 * Let writes pass, or refuse them all; claim the projects that nobody owns.
 * @param {Visit} visit
 * @param {import("./body.js").Pair[]} pairs what KV would refuse is not among them
 */
export async function checkWrite(visit, pairs) {
  const { caller, store, env } = visit;
  if (pairs.some(({ key }) => key === IDENTITY)) {
    throw new Refusal("forbidden", `Only the Worker itself writes ${IDENTITY}.`);
  }
  const records = pairs.filter(({ key }) => kindOf(key) === "project" && projectOf(key));
  if (caller.admin) {
    await inLanes(records, (record) => assign(visit, record));
    return;
  }
  const unowned = await unownedOf(visit, pairs.map(({ key }) => key));
  if (records.some(({ value }) => parsed(value)?.user_id !== caller.user)) {
    throw new Refusal("forbidden", "A project's record must name the user of this API key as its user_id.");
  }
  await inLanes([...unowned], async (project) => {
    const owner = await projectObject(env, store, project).claim(store, project, caller.user);
    if (owner !== caller.user) {
      throw others(project);
    }
    owners.set(env, project, owner);
  });
}

/** Let a listing pass, or refuse it: a user's must lie within one project. @returns {Promise<boolean>} is it owned? */
export async function checkList(visit, prefix) {
  if (!visit.caller.admin && !isWithinOne(prefix)) {
    throw new Refusal("forbidden", "An API key lists one project's keys: a prefix such as page:proj_0123456789ab:.");
  }
  return (await checkRead(visit, [prefix])).size === 0;
}

async function unownedOf(visit, keys) {
  const projects = new Set(keys.map(projectOf));
  if (projects.has("")) {
    throw new Refusal("forbidden", "An API key reaches the keys of its own user's projects only.");
  }
  const unowned = new Set();
  await inLanes([...projects], async (project) => {
    const owner = await ownerOf(visit, project);
    if (owner === undefined) {
      unowned.add(project);
    } else if (owner !== visit.caller.user) {
      throw others(project);
    }
  });
  return unowned;
}

/** @returns {Promise<string | undefined>} undefined where nobody owns it yet */
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

/** What the admin stores as a project's record counts at once, however late KV shows it. */
async function assign({ env, store }, { key, value }) {
  const project = projectOf(key);
  const user = userOf(value);
  if (user !== NOBODY) {
    await projectObject(env, store, project).assign(store, project, user);
  }
  owners.delete(project);
}

function userOf(record) {
  const user = parsed(record)?.user_id;
  return typeof user === "string" ? user : NOBODY;
}

const others = (project) => new Refusal("forbidden", `The project ${project} belongs to another user.`);
