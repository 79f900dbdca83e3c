/**
 * Reading pages by their address: `GET /content/{path}` as JSON, Markdown or HTML, `GET /llms.txt` and `GET /sitemap.xml`.
 *
 * The project's record says who may: everybody, or whoever has an API key of its owner. Without it there is nothing here.
 */

import { HEADERS, json, Refusal } from "./answers.js";
import { authenticate } from "./auth.js";
import { Cache } from "./cache.js";
import { toHtml } from "./html.js";
import { storeId } from "./identity.js";
import { isProject } from "./keys.js";
import { namespaceOf } from "./kv.js";
import { llmsText, sitemap } from "./lists.js";
import { toMarkdown } from "./markdown.js";
import { pathOnSite, routeName } from "./paths.js";
import { queryIn } from "./request.js";
import { readPage } from "./page.js";
import { countRequest } from "./usage.js";
import { bytesOf, parsed, sha256 } from "./utf8.js";

/** @typedef {import("./kv.js").Env} Env */

/**
 * A project as its record has it.
 * @typedef {object} Site
 * @property {string} project
 * @property {string} owner
 * @property {string} access `public`, `key` or "" for nobody
 * @property {string} name
 * @property {string} origin of the site, "" if its domain is not known
 * @property {number} pages
 * @property {{from: string, to: string, status: number}[]} redirects
 */

/** @typedef {{page_id: string, source_path: string, uploaded: string, extraction: any}} PageRecord */
/** @typedef {"json" | "markdown" | "html"} Format */

const CONTENT = "/content";
const LISTS = new Map([["/llms.txt", llmsText], ["/sitemap.xml", sitemap]]); // prettier-ignore

/** Part of every ETag: another rendering of the same record is another one. */
const VERSION = 1;

/** Seconds for which an answer is fresh, and for which an older one may be shown while a new one is fetched. */
const FRESH = 60;
const STALE = 600;

/** @type {Map<Format, string>} */
const TYPES = new Map([
  ["json", "application/json"],
  ["markdown", "text/markdown; charset=utf-8"],
  ["html", "text/html; charset=utf-8"],
]);

/** A page shows text and pictures, and runs nothing. */
const POLICY = "default-src 'none'; img-src * data:; media-src *; frame-src *; style-src 'unsafe-inline'";

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** @type {Cache<Site | null>} */
const sites = new Cache();

/** @param {URL} url */
export const isContent = ({ pathname }) =>
  pathname === CONTENT || pathname.startsWith(`${CONTENT}/`) || LISTS.has(pathname);

/**
 * @param {Request} request
 * @param {Env} env
 * @param {ExecutionContext} context
 * @param {URL} url
 */
export async function answerContent(request, env, context, url) {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new Refusal("method_not_allowed", "This path takes GET and HEAD.", { Allow: "GET, HEAD" });
  }
  const query = queryIn(url, ["project", "format", "part"]);
  const site = await siteOf(env, query.project ?? env.NIMBUS_CONTENT_PROJECT ?? "");
  await checkAccess(request, env, context, site);
  const list = LISTS.get(url.pathname);
  const response = list
    ? await answered(request, site, await list({ env, site, origin: url.origin, query }))
    : await page(request, env, site, url, query);
  return request.method === "HEAD" ? new Response(null, response) : response;
}

// --- who and what ---------------------------------------------------------------------------------------

/** @param {Env} env @param {string} project @returns {Promise<Site>} */
async function siteOf(env, project) {
  let site = isProject(project) ? sites.get(project) : null;
  if (site === undefined) {
    const key = `project:${project}`;
    site = read(project, parsed(await namespaceOf(env, key).get(key)));
    sites.set(env, project, site);
  }
  if (!site?.access) {
    throw new Refusal("not_found", "No project's pages can be read by their address here.");
  }
  return site;
}

/** @param {string} project @param {any} record @returns {Site | null} */
function read(project, record) {
  const { settings } = record ?? {};
  const access = settings?.content_access;
  const domain = String(settings?.domain || "").replace(/^[a-z]+:\/\/|\/.*$/gi, "");
  const redirects = Array.isArray(record?.redirects) ? record.redirects : [];
  return {
    project,
    owner: typeof record?.user_id === "string" ? record.user_id : "",
    access: access === "public" || access === "key" ? access : "",
    name: String(record?.name || domain || project),
    origin: /^[\w.-]+(?::\d+)?$/.test(domain) ? `https://${domain}` : "",
    pages: Number(record?.usage?.total_pages) || 0,
    redirects: redirects.filter(
      (/** @type {any} */ each) => typeof each?.from === "string" && typeof each.to === "string",
    ),
  };
}

/** @param {Request} request @param {Env} env @param {ExecutionContext} context @param {Site} site */
async function checkAccess(request, env, context, site) {
  if (site.access === "public") {
    return;
  }
  const caller = await authenticate(request, env);
  if (caller.key) {
    countRequest(env, context, await storeId(env), caller.key);
  }
  if (!caller.admin && (caller.user !== site.owner || site.owner === "")) {
    throw new Refusal("forbidden", `The project ${site.project} belongs to another user.`);
  }
}

// --- a page ---------------------------------------------------------------------------------------------

/**
 * @param {Request} request
 * @param {Env} env
 * @param {Site} site
 * @param {URL} url
 * @param {Record<string, string>} query
 */
async function page(request, env, site, url, query) {
  const asked = url.pathname.slice(CONTENT.length) || "/";
  const path = pathOnSite(asked);
  if (/\/index\.html?$/.test(asked) && path) {
    return moved(site, `${CONTENT}${path}${url.search}`, 308);
  }
  const text = path ? await recordAt(env, site, path) : null;
  if (text === null) {
    const elsewhere = path ? ((await redirected(site, path, url)) ?? (await nearby(env, site, path, url))) : null;
    if (elsewhere) {
      return elsewhere;
    }
    throw new Refusal("not_found", "The site has no page at this path.");
  }
  const format = formatOf(request, query);
  const etag = `"${(await sha256(bytesOf(text))).slice(0, 32)}-${format}${VERSION}"`;
  if (isKnown(request, etag)) {
    return new Response(null, { status: 304, headers: { ...headersOf(site), ETag: etag } });
  }
  const body = rendered(parsed(text), format, site);
  /** @type {Record<string, string>} */
  const headers = { ...headersOf(site), ETag: etag, "Content-Type": TYPES.get(format) ?? "" };
  if (format === "html") {
    headers["Content-Security-Policy"] = POLICY;
  }
  return new Response(body, { headers });
}

/** @param {Env} env @param {Site} site @param {string} path @returns {Promise<string | null>} the record of its page */
async function recordAt(env, { project }, path) {
  const key = `route:${project}:${await routeName(path)}`;
  const route = parsed(await namespaceOf(env, key).get(key));
  if (typeof route?.page_id !== "string") {
    return null;
  }
  const page = `page:${project}:${route.page_id}`;
  const { value, metadata } = await namespaceOf(env, page).getWithMetadata(page, "text");
  // Without a digest its source is gone.
  return /** @type {any} */ (metadata)?.digest === "" ? null : value;
}

/** @param {any} record @param {Format} format @param {Site} site @returns {string} */
function rendered(record, format, { origin }) {
  const { page_id, source_path, uploaded, extraction } = record ?? {};
  if (format === "json") {
    return JSON.stringify({ page_id, source_path, uploaded, extraction });
  }
  const page = readPage(extraction);
  if (page === null) {
    throw new Refusal("not_acceptable", "This page can only be read as JSON: its record is another program's.");
  }
  const path = typeof extraction.url === "string" ? extraction.url : "";
  return format === "html" ? toHtml(page, origin && path.startsWith("/") ? origin + path : "") : toMarkdown(page);
}

/**
 * The format with the highest weight in `Accept`; of several the first of ours: a client that takes anything gets JSON.
 * @param {Request} request
 * @param {Record<string, string>} query
 * @returns {Format}
 */
function formatOf(request, { format }) {
  if (format !== undefined) {
    if (format !== "json" && format !== "markdown" && format !== "html") {
      throw new Refusal("bad_request", "format is json, markdown or html.");
    }
    return format;
  }
  const weights = new Map();
  for (const range of (request.headers.get("Accept") ?? "").toLowerCase().split(",")) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim());
    const weight = Number(parameters.find((each) => each.startsWith("q="))?.slice(2) ?? 1);
    weights.set(name, Number.isFinite(weight) ? weight : 0);
  }
  const weightOf = (/** @type {string} */ type) =>
    weights.get(type) ?? weights.get(`${type.split("/")[0]}/*`) ?? weights.get("*/*") ?? 0;
  /** @type {[Format, string][]} */
  const known = [["json", "application/json"], ["markdown", "text/markdown"], ["html", "text/html"]]; // prettier-ignore
  return known.reduce((best, each) => (weightOf(each[1]) > weightOf(best[1]) ? each : best))[0];
}

// --- addresses that lead elsewhere ------------------------------------------------------------------------

/** @param {Site} site @param {string} path @param {URL} url */
async function redirected(site, path, { search }) {
  for (const { from, to, status } of site.redirects) {
    const begins = from.endsWith("*") ? from.slice(0, -1) : null;
    if (begins === null ? from !== path : !path.startsWith(begins)) {
      continue;
    }
    const target = begins === null ? to : to.replaceAll(":splat", path.slice(begins.length));
    const here = target.startsWith("/") && !target.startsWith("//");
    if (target === path || !(here || /^https?:\/\//i.test(target))) {
      continue;
    }
    return moved(site, here ? CONTENT + withQuery(target, search) : target, REDIRECTS.has(status) ? status : 301);
  }
  return null;
}

/** A page's path as hosts of static sites also take it. @param {Env} env @param {Site} site @param {string} path @param {URL} url */
async function nearby(env, site, path, { search }) {
  const others = path.endsWith("/") ? [path.slice(0, -1), `${path.slice(0, -1)}.html`] : [`${path}.html`, `${path}/`];
  for (const other of others.filter((each) => each.length > 1 && !each.endsWith("/.html"))) {
    if ((await recordAt(env, site, other)) !== null) {
      return moved(site, CONTENT + other + search, 308);
    }
  }
  return null;
}

/** @param {string} target @param {string} search the query of the request */
function withQuery(target, search) {
  const [address = "", fragment] = target.split("#", 2);
  const query = address.includes("?") ? search.replace("?", "&") : search;
  return address + query + (fragment === undefined ? "" : `#${fragment}`);
}

/** @param {Site} site @param {string} location @param {number} status */
const moved = (site, location, status) =>
  json({ location }, { ...headersOf(site), Location: location.replace(/[\r\n]/g, "") }, status);

// --- answers --------------------------------------------------------------------------------------------

/** @param {Request} request @param {Site} site @param {{body: string, type: string}} list */
async function answered(request, site, { body, type }) {
  const etag = `"${(await sha256(bytesOf(body))).slice(0, 32)}"`;
  const headers = { ...headersOf(site), ETag: etag };
  return isKnown(request, etag)
    ? new Response(null, { status: 304, headers })
    : new Response(body, { headers: { ...headers, "Content-Type": type } });
}

/** @param {Site} site @returns {Record<string, string>} */
function headersOf({ access }) {
  const fresh = `max-age=${FRESH}, stale-while-revalidate=${STALE}`;
  return access === "public"
    ? { ...HEADERS, "Cache-Control": `public, ${fresh}`, Vary: "Accept", "Access-Control-Allow-Origin": "*" }
    : { ...HEADERS, "Cache-Control": `private, ${fresh}`, Vary: "Accept, Authorization" };
}

/** Whether the client has this answer. @param {Request} request @param {string} etag */
function isKnown(request, etag) {
  const known = request.headers.get("If-None-Match") ?? "";
  return known.trim() === "*" || known.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}
