/**
 * A record as Markdown (CommonMark, with tables). The same as `nimbus_tasks/html/render/markdown.py`, and held to the same
 * cases: change both.
 */

import { isInline, mediaByBlock, mediaHtml } from "./html.js";
import { folderOf, HEADINGS, piecesOf, PREFORMATTED, resolved, safe } from "./markup.js";
import { buildTree, containersIn, isLeaf } from "./tree.js";

/** @typedef {import("./page.js").Block} Block */
/** @typedef {import("./tree.js").Leaf} Leaf */
/** @typedef {import("./page.js").Media} Media */
/** @typedef {import("./tree.js").Node} Node */
/** @typedef {import("./page.js").Page} Page */

/** What has a meaning anywhere in a text, and what has one at the beginning of a line. */
const SPECIAL = /[\\`*_[\]<>&|~$]/g;
const AT_START = /^(?:[#+=-]|[0-9]{1,9}(?=[.)]))/;
const CODE = "</code>";
const TAGS = new Set(["kbd", "sub", "sup"]);
/** White space as Python has it. */
const SPACE = /[\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/; // eslint-disable-line no-control-regex
const NEEDS_BRACKETS = /[()<>]/;
const LINE_FEED = /\n/;
const BLANK = / /;
/** Columns that a record claims beyond this one are drawn in it. */
const LAST_COLUMN = 1000;
/** The facts of the head that editors know. */
const FACTS = new Map([["title", "title"], ["metaDescription", "description"], ["canonical", "canonical"], ["lang", "lang"]]); // prettier-ignore

/** @param {Page} page */
export function toMarkdown(page) {
  const media = mediaByBlock(page);
  const parts = [mediaHtml(media.get("") ?? []), ...new Writer(media, folderOf(page)).children(buildTree(page))];
  const body = parts.filter(hasText).map((part) => cut(part, LINE_FEED, false));
  return `${frontMatter(page)}${body.join("\n\n")}\n`;
}

/** As YAML. A JSON string is one of YAML too. @param {Page} page */
function frontMatter({ head }) {
  const lines = [...FACTS].flatMap(([name, shown]) =>
    head[name] ? [`${shown}: ${JSON.stringify(head[name])}\n`] : [],
  );
  return lines.length ? `---\n${lines.join("")}---\n\n` : "";
}

class Writer {
  /** What stands in a linked text is linked by that. */
  #inLink = false;
  /** A cell is one line: what it holds is written as such. */
  #inCell = false;
  #folder;
  #media;

  /** @param {Map<string, Media[]>} media @param {string} folder */
  constructor(media, folder) {
    this.#media = media;
    this.#folder = folder;
  }

  /**
   * Each child as the lines of a block, without blank lines around it.
   * @param {Node} node
   * @returns {string[]}
   */
  children(node) {
    /** @type {string[]} */
    const parts = [];
    for (const child of node.children) {
      if (isLeaf(child)) {
        this.#leaf(child, parts);
        parts.push(mediaHtml(this.#media.get(child.block.id) ?? []));
      } else {
        parts.push(this.#container(child));
      }
    }
    return parts;
  }

  /** @param {Node} node @returns {string} */
  #container(node) {
    const { kind } = node.step;
    if (kind === "table" && !this.#inCell) {
      return this.#table(node);
    }
    if (kind === "ul" || kind === "ol") {
      return this.#list(node);
    }
    const parts = this.children(node).filter(hasText);
    const body = parts.map((part) => cut(part, LINE_FEED)).join("\n\n");
    if (kind === "quote") {
      return indented(body, "> ", "> ");
    }
    return kind === "dd" ? indented(body, ":   ", "    ") : body;
  }

  /** @param {Node} node */
  #list(node) {
    const items = containersIn(node).map((item) => {
      const marker = node.step.kind === "ol" ? `${Math.max(item.step.number, 0)}. ` : "- ";
      const { checked } = item.step;
      const box = checked === undefined ? "" : checked ? "[x] " : "[ ] ";
      return indented(this.#container(item), marker + box, " ".repeat(marker.length));
    });
    return items.join(items.some((item) => item.includes("\n\n")) ? "\n\n" : "\n");
  }

  /** @param {Node} node */
  #table(node) {
    /** @type {Map<number, string>[]} */
    const rows = [];
    let headed = false;
    for (const row of containersIn(node)) {
      /** @type {Map<number, string>} */
      const cells = new Map();
      for (const cell of containersIn(row)) {
        this.#inCell = true;
        const parts = this.children(cell).map(stripped);
        this.#inCell = false;
        cells.set(Math.min(cell.step.number, LAST_COLUMN), parts.filter(Boolean).map(oneLine).join("<br>"));
        headed ||= cell.step.header && !rows.length;
      }
      rows.push(cells);
    }
    const width = most(rows.map((cells) => most([...cells.keys()]) + 1));
    const lines = [...(headed ? [] : [new Map()]), ...rows].map((cells) => rowOf(cells, width));
    lines.splice(1, 0, `|${" --- |".repeat(width)}`);
    return lines.join("\n");
  }

  /** @param {Leaf} leaf @param {string[]} parts */
  #leaf(leaf, parts) {
    const { block } = leaf;
    if (block.type === "img") {
      parts.push(imageOf(block, this.#folder, !this.#inLink));
    } else if (PREFORMATTED.has(block.type)) {
      if (this.#inCell) {
        parts.push(block.content.split("\n").filter(Boolean).map(codeOf).join("<br>"));
      } else {
        const fence = "`".repeat(Math.max(3, 1 + most(ticksIn(block.content))));
        const end = block.content.endsWith("\n") ? "" : "\n";
        parts.push(`${fence}${block.language}\n${block.content}${end}${fence}`);
      }
      for (const node of leaf.inner.values()) {
        this.children(node).forEach((part) => parts.push(part));
      }
    } else {
      this.#text(leaf, parts);
    }
  }

  /** The text of a block, cut where other blocks than images stand in it. @param {Leaf} leaf @param {string[]} parts */
  #text(leaf, parts) {
    const { block } = leaf;
    const prefix = HEADINGS.has(block.type) ? `${"#".repeat(Number(block.type[1]))} ` : "";
    /** @type {string[]} */
    let written = [];
    /** @type {{begin: string, end: string, first: number}[]} */
    let open = [];
    /** @type {string[]} */
    let code = [];
    for (const { kind, text, link, node } of piecesOf(leaf)) {
      if (kind === "text") {
        code.push(text);
        written.push(escaped(text, !written.length));
      } else if (kind === "open") {
        const [begin, end] = markOf(text, text === "a" && link && !this.#inLink ? link.href : undefined);
        written.push(begin);
        open.push({ begin, end, first: written.length });
        code = [];
      } else if (kind === "close") {
        const { end, first } = /** @type {{end: string, first: number}} */ (open.pop());
        if (end === CODE && code.length === 1 && written.length - first === 1) {
          written.splice(first - 1, written.length, codeOf(code[0] ?? ""));
        } else {
          written.push(end);
        }
      } else if (!node) {
        written.push(prefix ? "<br>" : "\\\n");
      } else {
        const around = this.#inLink;
        this.#inLink ||= open.some(({ begin }) => begin.startsWith("["));
        const inner = this.children(node).filter(Boolean);
        this.#inLink = around;
        if (isInline(node)) {
          const images = inner.join(" ");
          written = written.length ? [...written, " ", images] : [images, " "];
          continue;
        }
        parts.push(lineOf(prefix, [...written, ...open.map(({ end }) => end).reverse()]));
        inner.forEach((part) => parts.push(part));
        written = open.map(({ begin }) => begin);
        open = open.map((each) => ({ ...each, first: -1 }));
      }
    }
    parts.push(lineOf(prefix, written));
  }
}

/** The greatest of some numbers, 0 if there is none: there may be more than a call takes. @param {number[]} numbers */
const most = (numbers) => numbers.reduce((one, other) => Math.max(one, other), 0);
/** @param {string} text */
const stripped = (text) => cut(text, SPACE);
/** @param {string} text */
const hasText = (text) => stripped(text) !== "";

/**
 * A text without some signs at its ends. A pattern for its end would take time with the square of a run of them.
 * @param {string} text
 * @param {RegExp} sign
 */
function cut(text, sign, atStart = true) {
  let [begin, end] = [0, text.length];
  while (end > 0 && sign.test(text[end - 1] ?? "")) {
    end--;
  }
  while (atStart && begin < end && sign.test(text[begin] ?? "")) {
    begin++;
  }
  return text.slice(begin, end);
}

/** @param {string} prefix @param {string[]} written */
function lineOf(prefix, written) {
  const text = cut(written.join(""), BLANK);
  return text ? prefix + text : "";
}

/** What begins and what ends a mark. @param {string} type @param {string | undefined} href of a link */
function markOf(type, href) {
  if (href !== undefined) {
    return ["[", `](${addressOf(href)})`];
  }
  if (TAGS.has(type) || type === "code") {
    return [`<${type}>`, `</${type}>`];
  }
  const sign = type === "em" ? "*" : type === "strong" ? "**" : "";
  return [sign, sign];
}

/** @param {string} text @returns {number[]} the lengths of its runs of backticks */
const ticksIn = (text) => (text.match(/`+/g) ?? []).map((ticks) => ticks.length);

/** Code between as many backticks as it does not hold. @param {string} text */
function codeOf(text) {
  const ticks = new Set(ticksIn(text));
  let count = 1;
  while (ticks.has(count)) {
    count++;
  }
  const fence = "`".repeat(count);
  const space = /^[` ]|[` ]$/.test(text) ? " " : "";
  return `${fence}${space}${text}${space}${fence}`;
}

/** @param {string} href */
function addressOf(href) {
  const address = safe(href);
  return NEEDS_BRACKETS.test(address) || SPACE.test(address) ? `<${address.replace(/[<>\n\\]/g, "")}>` : address;
}

/** @param {string} text @param {boolean} atStart */
function escaped(text, atStart) {
  const safeText = text.replace(SPECIAL, "\\$&");
  const mark = atStart ? AT_START.exec(safeText)?.[0] : undefined;
  if (mark === undefined) {
    return safeText;
  }
  return /^[0-9]/.test(mark) ? `${mark}\\${safeText.slice(mark.length)}` : `\\${safeText}`;
}

/** @param {Block} block @param {string} folder @param {boolean} mayLink */
function imageOf(block, folder, mayLink) {
  const address = addressOf(resolved(block.attributes.src ?? "", folder));
  const image = `![${escaped(block.content, false)}](${address})`;
  const link = mayLink ? block.links[0] : undefined;
  return link ? `[${image}](${addressOf(link.href)})` : image;
}

/** @param {string} text @param {string} first @param {string} others */
function indented(text, first, others) {
  const [line = "", ...more] = text.split("\n");
  return [first + line, ...more.map((each) => cut(others + each, SPACE, false))].join("\n");
}

/** @param {string} text */
function oneLine(text) {
  const joined = text
    .replace(/\n[ \t]*(?=\n)/g, "")
    .replaceAll("\\\n", "<br>")
    .replaceAll("\n", "<br>");
  return joined.replace(/(?<!\\)\|/g, "\\|");
}

/** @param {Map<number, string>} cells @param {number} width */
function rowOf(cells, width) {
  return `| ${Array.from({ length: width }, (_, column) => cells.get(column) ?? "").join(" | ")} |`;
}
