/** Lists of a project's pages: `llms.txt` for language models, `sitemap.xml` for search engines. */

import { Refusal } from "./answers.js";
import { namespaceOf } from "./kv.js";

/**
 * @typedef {object} Asked
 * @property {import("./kv.js").Env} env
 * @property {import("./content.js").Site} site
 * @property {string} origin of this Worker
 * @property {Record<string, string>} query
 */

/** @typedef {{url: string, title: string, description: string, uploaded: string}} Listed */

/** Pages in one answer: each thousand of them is a listing of KV, of which a request may take 50 on the free plan. */
const MOST = 10_000;

const XML = new Map([["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ['"', "&quot;"], ["'", "&apos;"]]); // prettier-ignore

/** @param {Asked} asked */
export async function llmsText({ env, site, origin, query }) {
  const pages = await list(env, site.project, "");
  const more = query.project ? `&project=${query.project}` : "";
  const lines = pages.map(({ url, title, description }) => {
    const text = description ? `: ${description}` : "";
    return `- [${title.replace(/[[\]\\]/g, "\\$&") || url}](${origin}/content${url}?format=markdown${more})${text}\n`;
  });
  const left = site.pages > pages.length && pages.length >= MOST ? `\nMore pages: ${origin}/sitemap.xml\n` : "";
  const where = site.origin || origin;
  return {
    body: `# ${site.name}\n\n> The pages of ${where}, as Markdown.\n\n## Pages\n\n${lines.join("")}${left}`,
    type: "text/plain; charset=utf-8",
  };
}

/** A large site has a sitemap of sitemaps: the pages whose ids begin with the same digits. @param {Asked} asked */
export async function sitemap({ env, site, origin, query }) {
  const { part = "" } = query;
  if (!/^[0-9a-f]{0,2}$/.test(part)) {
    throw new Refusal("bad_request", "part is one or two hex digits.");
  }
  if (part === "" && site.pages > MOST) {
    const digits = site.pages > 12 * MOST ? 2 : 1;
    const more = query.project ? `&amp;project=${query.project}` : "";
    const parts = Array.from({ length: 16 ** digits }, (_, number) => number.toString(16).padStart(digits, "0"));
    return xml("sitemapindex", parts.map((each) => `<sitemap><loc>${origin}/sitemap.xml?part=${each}${more}</loc></sitemap>`)); // prettier-ignore
  }
  const begin = site.origin || `${origin}/content`;
  const pages = await list(env, site.project, part);
  return xml("urlset", pages.map(({ url, uploaded }) => `<url><loc>${escaped(begin + url)}</loc>${dated(uploaded)}</url>`)); // prettier-ignore
}

/** @param {string} root @param {string[]} lines */
function xml(root, lines) {
  const begin = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n`;
  return { body: `${begin}${lines.join("\n")}\n</${root}>\n`, type: "application/xml" };
}

/** @param {string} moment */
const dated = (moment) => (/^[\d:.TZ-]+$/.test(moment) ? `<lastmod>${moment}</lastmod>` : "");

/** @param {string} text */
const escaped = (text) => text.replace(/[&<>"']/g, (sign) => XML.get(sign) ?? "");

/**
 * The pages whose source exists, each address once, in the order of their addresses.
 * @param {import("./kv.js").Env} env
 * @param {string} project
 * @param {string} digits that the page ids begin with
 * @returns {Promise<Listed[]>}
 */
async function list(env, project, digits) {
  const prefix = `page:${project}:${digits && `page_${digits}`}`;
  /** @type {Map<string, Listed>} */
  const found = new Map();
  let cursor;
  for (let names = 0; names < MOST; names += 1000) {
    /** @type {KVNamespaceListResult<any>} */
    const page = await namespaceOf(env, prefix).list({ prefix, cursor });
    for (const { metadata } of page.keys) {
      const { url, title = "", description = "", uploaded = "", digest } = metadata ?? {};
      if (digest !== "" && typeof url === "string" && url.startsWith("/")) {
        found.set(url, { url, title: String(title), description: String(description), uploaded: String(uploaded) });
      }
    }
    if (page.list_complete) {
      break;
    }
    cursor = page.cursor;
  }
  return [...found.values()].sort((one, other) => (one.url < other.url ? -1 : 1));
}
