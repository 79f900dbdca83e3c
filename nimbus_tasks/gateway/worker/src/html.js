/**
 * A record as an HTML page. The same as `nimbus_tasks/html/render/page_html.py`, and held to the same cases: change both.
 */

import { folderOf, HEADINGS, piecesOf, PREFORMATTED, resolved, resolvedSet, safe } from "./markup.js";
import { buildTree, containersIn, isLeaf } from "./tree.js";

/** @typedef {import("./page.js").Block} Block */
/** @typedef {import("./tree.js").Leaf} Leaf */
/** @typedef {import("./page.js").Media} Media */
/** @typedef {import("./tree.js").Node} Node */
/** @typedef {import("./page.js").Page} Page */

/** Elements that a block keeps. Others are paragraphs; list items, cells and the like come from the tree. */
const KEPT = new Set([...HEADINGS, "address", "dt", "figcaption", "p", "summary"]);
/** The tree has an element for these already. */
const BARE = new Set(["dd", "details", "li", "td", "th"]);
const CONTAINERS = new Map([["quote", "blockquote"], ["item", "li"], ["row", "tr"], ["page", ""]]); // prettier-ignore
const IMAGE = ["src", "srcset", "sizes", "width", "height", "title"];
/** Those that hold addresses. */
const RESOLVED = /** @type {const} */ ([["src", resolved], ["srcset", resolvedSet]]); // prettier-ignore
const MARKS = new Set(["code", "em", "kbd", "strong", "sub", "sup"]);
/** Limits of HTML for cells. Rows and columns without text that a record claims beyond the last are not drawn. */
const MOST_COLUMNS = 1000;
const MOST_ROWS = 65_534;
const MOST_EMPTY = 100;
/** Places of cells over several rows to remember for a page: more would take time with the square of its length. */
const MOST_REACHED = 100_000;

const ESCAPES = new Map([["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ['"', "&quot;"], ["'", "&#x27;"]]); // prettier-ignore

/** @param {string} text */
export const escaped = (text) => text.replace(/[&<>"']/g, (sign) => ESCAPES.get(sign) ?? "");
/** @param {string} text */
const escapedText = (text) => text.replace(/[&<>]/g, (sign) => ESCAPES.get(sign) ?? "");

/**
 * @param {Page} page
 * @param {string} [base] the address of the page itself: relative addresses of images are resolved against it
 */
export function toHtml(page, base = "") {
  const { head } = page;
  const lang = head.lang === undefined ? "" : ` lang="${escaped(head.lang)}"`;
  const parts = [`<!doctype html>\n<html${lang}>\n<head>\n<meta charset="utf-8">\n`];
  if (base) {
    parts.push(`<base href="${escaped(base)}">\n`);
  }
  parts.push(`<title>${escaped(head.title ?? "")}</title>\n`);
  if (head.metaDescription) {
    parts.push(`<meta name="description" content="${escaped(head.metaDescription)}">\n`);
  }
  const canonical = safe(head.canonical ?? "");
  if (canonical) {
    parts.push(`<link rel="canonical" href="${escaped(canonical)}">\n`);
  }
  const media = mediaByBlock(page);
  parts.push("</head>\n<body>\n<main>\n", mediaHtml(media.get("") ?? []));
  new Writer(media, parts, folderOf(page)).children(buildTree(page));
  parts.push("</main>\n</body>\n</html>\n");
  return parts.join("");
}

/** Media by the block that they stand after. @param {Page} page @returns {Map<string, Media[]>} */
export function mediaByBlock(page) {
  /** @type {Map<string, Media[]>} */
  const media = new Map();
  for (const each of page.media) {
    const others = media.get(each.after ?? "") ?? [];
    media.set(each.after ?? "", others);
    others.push(each);
  }
  return media;
}

class Writer {
  /** What stands in a linked text is linked by that. */
  #inLink = false;
  #left = MOST_REACHED;
  #folder;
  #media;
  #parts;

  /** @param {Map<string, Media[]>} media @param {string[]} parts @param {string} folder */
  constructor(media, parts, folder) {
    this.#folder = folder;
    this.#media = media;
    this.#parts = parts;
  }

  /** @param {Node} node */
  children(node) {
    /** @type {Node | Leaf | undefined} */
    let before;
    for (const [at, child] of node.children.entries()) {
      if (!isLeaf(child)) {
        if (child.step.kind === "table") {
          this.#table(child, before);
        } else {
          this.#container(child);
        }
      } else if (!isCaption(child, node.children[at + 1])) {
        this.#parts.push(isImage(child) && isImage(before) ? " " : ""); // a word does not end between two
        this.#leaf(child);
      }
      if (isLeaf(child)) {
        this.#parts.push(mediaHtml(this.#media.get(child.block.id) ?? []));
      }
      before = child;
    }
  }

  /**
   * A table. Rows and cells without text are no blocks; some cells reach into the rows below.
   * @param {Node} node
   * @param {Node | Leaf | undefined} before
   */
  #table(node, before) {
    this.#parts.push("<table>");
    if (before && isLeaf(before) && isCaption(before, node)) {
      this.#leaf(before, "caption");
    }
    /** The first row that such a cell does not reach, by column. @type {Map<number, number>} */
    const free = new Map();
    let last = -1;
    for (const row of containersIn(node)) {
      const { number } = row.step;
      this.#parts.push("<tr></tr>\n".repeat(Math.max(0, Math.min(number - last - 1, MOST_EMPTY))), "<tr>");
      let column = 0;
      for (const cell of containersIn(row)) {
        const [first, own] = [cell.step.number, ownBlock(cell)];
        for (let each = column; each < Math.min(first, column + MOST_EMPTY); each++) {
          this.#parts.push((free.get(each) ?? 0) <= number ? "<td></td>" : "");
        }
        column = first + (spanOf(own, "colspan", MOST_COLUMNS) || 1);
        const height = spanOf(own, "rowspan", MOST_ROWS) || MOST_ROWS;
        for (let each = first; height > 1 && each < column && this.#left > 0; each++) {
          free.set(each, number + height);
          this.#left--;
        }
        this.#container(cell);
      }
      this.#parts.push("</tr>\n");
      last = number;
    }
    this.#parts.push("</table>\n");
  }

  /** @param {Node} node */
  #container(node) {
    const { kind, header } = node.step;
    const tag = kind === "cell" ? (header ? "th" : "td") : (CONTAINERS.get(kind) ?? kind);
    const first = firstNumber(node);
    let attributes = kind === "ol" && first !== 1 ? ` start="${first}"` : "";
    if (kind === "cell") {
      attributes = attributesOf(ownBlock(node)?.attributes ?? {}, ["colspan", "rowspan"]);
    }
    this.#parts.push(`<${tag}${attributes}>`);
    if (node.step.checked !== undefined) {
      this.#parts.push(`<input type="checkbox" disabled${node.step.checked ? " checked" : ""}> `);
    }
    this.children(node);
    this.#parts.push(`</${tag}>\n`);
  }

  /** A block, in an element of its own type unless a tag is given. @param {Leaf} leaf @param {string} given */
  #leaf(leaf, given = "") {
    const { block } = leaf;
    if (block.type === "img") {
      const image = imageOf(block, this.#folder);
      this.#parts.push(this.#inLink ? image : linked(block, image));
      return;
    }
    let [begin, end] = ["", ""];
    if (PREFORMATTED.has(block.type)) {
      [begin, end] = ["<pre>\n", "</pre>\n"]; // the parser drops this line feed
      if (block.language) {
        [begin, end] = [`<pre><code class="language-${escaped(block.language)}">`, "</code></pre>\n"];
      }
    } else if (!BARE.has(block.type)) {
      const holdsBlocks = [...leaf.inner.values()].some((node) => !isInline(node));
      const tag = given || (holdsBlocks ? "div" : KEPT.has(block.type) ? block.type : "p");
      [begin, end] = [`<${tag}>`, `</${tag}>\n`];
    }
    this.#parts.push(begin);
    this.#text(leaf);
    this.#parts.push(end);
  }

  /** @param {Leaf} leaf */
  #text(leaf) {
    /** @type {string[]} */
    const open = [];
    for (const { kind, text, link, node } of piecesOf(leaf)) {
      if (kind === "text") {
        this.#parts.push(escapedText(text));
      } else if (kind === "open") {
        let tag = MARKS.has(text) ? text : "";
        if (text === "a" && link && !this.#inLink) {
          tag = "a";
          const rel = link.rel ? ` rel="${escaped(link.rel)}"` : "";
          this.#parts.push(`<a href="${escaped(safe(link.href))}"${rel}>`);
        } else if (tag) {
          this.#parts.push(`<${tag}>`);
        }
        open.push(tag);
      } else if (kind === "close") {
        const tag = open.pop();
        this.#parts.push(tag ? `</${tag}>` : "");
      } else if (!node) {
        this.#parts.push("<br>\n");
      } else {
        const around = this.#inLink;
        this.#inLink ||= open.includes("a");
        this.children(node);
        this.#inLink = around;
      }
    }
  }
}

/** @param {Node} node */
export const isInline = (node) => node.children.every(isImage);

/** @param {Node | Leaf | undefined} child */
const isImage = (child) => child !== undefined && isLeaf(child) && child.block.type === "img";

/** Whether a block is the caption of the table that comes after it. @param {Leaf} leaf @param {Node | Leaf | undefined} after */
const isCaption = ({ block }, after) =>
  block.type === "caption" && after !== undefined && !isLeaf(after) && after.step.kind === "table";

/** @param {Node} node */
function firstNumber(node) {
  const [first] = node.children;
  return first && !isLeaf(first) ? first.step.number : 1;
}

/** The block that a cell is, if it has text of its own. @param {Node} node */
function ownBlock(node) {
  const [first] = node.children;
  return first && isLeaf(first) && (first.block.type === "td" || first.block.type === "th") ? first.block : undefined;
}

/** @param {Block | undefined} block @param {string} name @param {number} most */
function spanOf(block, name, most) {
  const written = block?.attributes[name] ?? "1";
  return /^[0-9]{1,5}$/.test(written) ? Math.min(Number(written), most) : 1;
}

/** @param {Record<string, string>} attributes @param {string[]} names */
function attributesOf(attributes, names) {
  return names
    .map((name) => {
      const value = attributes[name];
      return value && safe(value) ? ` ${name}="${escaped(value)}"` : "";
    })
    .join("");
}

/** @param {Block} block @param {string} folder */
function imageOf(block, folder) {
  const sources = block.sources.map(({ src, type, media }) => {
    const more = (type ? ` type="${escaped(type)}"` : "") + (media ? ` media="${escaped(media)}"` : "");
    return `<source srcset="${escaped(safe(resolvedSet(src, folder)))}"${more}>`;
  });
  const attributes = { ...block.attributes };
  for (const [name, resolve] of RESOLVED) {
    const written = attributes[name];
    if (written) {
      attributes[name] = resolve(written, folder);
    }
  }
  const image = `<img${attributesOf(attributes, IMAGE)} alt="${escaped(block.content)}">`;
  return sources.length ? `<picture>${sources.join("")}${image}</picture>` : image;
}

/** @param {Block} block @param {string} image */
function linked({ links: [link] }, image) {
  return link ? `<a href="${escaped(safe(link.href))}">${image}</a>` : image;
}

/** @param {Media[]} found */
export function mediaHtml(found) {
  return found
    .map(({ type, src, title }) => {
      const address = escaped(safe(src));
      const named = title ? ` title="${escaped(title)}"` : "";
      if (type === "iframe") {
        return `<iframe src="${address}"${named}></iframe>\n`;
      }
      return type === "og:image" ? "" : `<${type} src="${address}"${named} controls></${type}>\n`;
    })
    .join("");
}
