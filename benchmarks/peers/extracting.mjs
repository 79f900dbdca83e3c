// Extraction with cheerio, the same work as ours: head, main content, blocks with a unique selector for each, links, marks,
// list levels, table cells, quotes, local files, JSON. Media, structured data and groups are left out.
//
// Written for speed, like ours: one walk over the tree, each parent's children numbered once, paths memoised.

import { load } from "cheerio";

const words = (text) => new Set(text.trim().split(/\s+/));
const PHRASING = words(`span a code em strong b i abbr acronym bdi bdo big button cite data del dfn font ins kbd label
  map mark math meter nobr output picture progress q rb rp rt rtc ruby s samp slot small strike sub sup time tt u var
  wbr area base col embed input link meta param source track`);
const UNSEEN = words(`iframe noembed noframes noscript script style template textarea title audio canvas datalist object
  optgroup option select svg video annotation annotation-xml`);
const MAIN = [
  "[data-pagefind-body]",
  "main",
  "[role=main]",
  "article",
  "#main-content",
  "#content",
  "#main",
  "#bodyContent",
  "#doc-content",
  "#page-content",
  "div.document",
  "div.body",
  ".content",
  "div.contents",
  "div.refentry",
  "div.chapter",
  "div.sect1",
];
const AROUND = words("nav aside header footer");
const STYLED_AWAY = /(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b/i;

const collapse = (text) => text.replace(/[ \t\n\r\f]+/g, " ").replace(/^ | $/g, "");

function isUnseen(node) {
  const { name, attribs } = node;
  return (
    UNSEEN.has(name) ||
    "hidden" in attribs ||
    "popover" in attribs ||
    "data-nimbus-ignore" in attribs ||
    (name === "dialog" && !("open" in attribs)) ||
    ("style" in attribs && STYLED_AWAY.test(attribs.style))
  );
}

function seenLength(node) {
  let length = 0;
  for (const child of node.children) {
    if (child.type === "text") length += collapse(child.data).length;
    else if (child.children && !isUnseen(child)) length += seenLength(child);
  }
  return length;
}

function findMain($, body) {
  const whole = seenLength(body);
  for (const selector of MAIN) {
    const found = $(selector);
    if (found.length !== 1) continue;
    const part = seenLength(found[0]);
    if (part >= 0.25 * whole || (part >= 0.1 * whole && found.find("h1").length)) return [found[0], selector];
  }
  return [body, "body"];
}

function readHead($) {
  const facts = {};
  const note = (name, value) => {
    if (name && value && !(name in facts) && (value = collapse(value))) facts[name] = value;
  };
  note("lang", $("html").attr("lang"));
  note("title", $("title").first().text());
  for (const { attribs } of $("meta[content]")) {
    const name = (attribs.property ?? attribs.name ?? "").toLowerCase();
    note(name === "description" ? "metaDescription" : name, attribs.content);
  }
  for (const { attribs } of $("link[rel][href]")) {
    const kinds = attribs.rel.toLowerCase().split(/\s+/);
    if (kinds.includes("canonical")) note("canonical", attribs.href);
    if (kinds.includes("icon")) note("favicon", attribs.href);
    if (kinds.includes("alternate") && attribs.hreflang) note(`hreflang:${attribs.hreflang}`, attribs.href);
  }
  return facts;
}

// Selectors, with each parent's children numbered once.
function selectors($) {
  const times = new Map();
  for (const { attribs } of $("[id]")) times.set(attribs.id, (times.get(attribs.id) ?? 0) + 1);
  const paths = new Map();
  const steps = new Map();
  function step(node) {
    if (!steps.has(node)) {
      const counts = new Map();
      const siblings = node.parent.children.filter((child) => child.name);
      for (const child of siblings) counts.set(child.name, (counts.get(child.name) ?? 0) + 1);
      const seen = new Map();
      for (const child of siblings) {
        const place = (seen.get(child.name) ?? 0) + 1;
        seen.set(child.name, place);
        steps.set(child, counts.get(child.name) > 1 ? `${child.name}:nth-of-type(${place})` : child.name);
      }
    }
    return steps.get(node);
  }
  return function path(node) {
    let made = paths.get(node);
    if (made === undefined) {
      const { id } = node.attribs;
      if (id && times.get(id) === 1) made = `[id=${JSON.stringify(id)}]`;
      else if (node.parent.type === "root") made = node.name;
      else made = `${path(node.parent)} > ${step(node)}`;
      paths.set(node, made);
    }
    return made;
  };
}

const MARKS = { a: "a", em: "em", i: "em", strong: "strong", b: "strong", code: "code", tt: "code", kbd: "kbd", sub: "sub", sup: "sup" }; // prettier-ignore
const LANGUAGE = /(?:^|\s)(?:language-|lang-|highlight-)([\w+#-]+)/;

/** Returns the place in the collapsed text of each place in the text, and the collapsed text. */
function collapsing(text) {
  const places = new Int32Array(text.length + 1);
  let content = "";
  let isSpace = true;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    const isBlank = char === " " || (char <= "\r" && /[\t\n\f\r]/.test(char));
    places[at] = content.length;
    if (!isBlank) content += char;
    else if (!isSpace) content += " ";
    isSpace = isBlank;
  }
  places[text.length] = content.length;
  return [places, content.endsWith(" ") ? content.slice(0, -1) : content];
}

/** Returns marks and links by their places in the content. */
function placed(text, marks, content, resolve) {
  const [places] = collapsing(text);
  const found = { marks: [], links: [] };
  for (const { node, start, end } of marks) {
    let [from, to] = [places[start], Math.min(places[end], content.length)];
    while (from < to && content[from] === " ") from += 1;
    while (to > from && content[to - 1] === " ") to -= 1;
    if (from === to) continue;
    found.marks.push({ type: MARKS[node.name], start: from, end: to });
    if (node.name !== "a") continue;
    const link = { text: content.slice(from, to), href: resolve(node.attribs.href ?? "") };
    if (node.attribs.rel) link.rel = node.attribs.rel;
    found.links.push(link);
  }
  return found;
}

/** Numbers the cells of tables: the columns that cells of earlier rows take are not free. */
function cellsOf() {
  const tables = new Map();
  return function cell(node) {
    let table = node;
    while (table && table.name !== "table") table = table.parent;
    if (!table) return undefined;
    if (!tables.has(table)) {
      const made = new Map();
      const id = `table-${tables.size}`;
      const taken = [];
      let row = 0;
      (function rows(parent) {
        for (const child of parent.children) {
          if (child.name === "table") continue;
          if (child.name !== "tr") {
            if (child.children) rows(child);
            continue;
          }
          let column = 0;
          for (const each of child.children) {
            if (each.name !== "td" && each.name !== "th") continue;
            while ((taken[column] ?? 0) > row) column += 1;
            const place = { id, row, column };
            if (each.name === "th") place.header = true;
            made.set(each, place);
            const down = Math.min(Number(each.attribs.rowspan) || 1, 1000);
            for (let wide = Math.min(Number(each.attribs.colspan) || 1, 1000); wide > 0; wide -= 1) {
              taken[column] = row + down;
              column += 1;
            }
          }
          row += 1;
        }
      })(table);
      tables.set(table, made);
    }
    return tables.get(table).get(node);
  };
}

function readBlocks(main, selector, resolve) {
  const found = [];
  const cellOf = cellsOf();
  function visit(node, owner, within) {
    for (const child of node.children) {
      if (child.type === "text") owner.text += child.data;
      else if (!child.name || isUnseen(child)) continue;
      else if (main.name === "body" && AROUND.has(child.name)) continue;
      else if (PHRASING.has(child.name)) {
        const start = owner.text.length;
        const mark = { node: child, start, end: start };
        if (child.name in MARKS) owner.marks.push(mark);
        visit(child, owner, within);
        mark.end = owner.text.length;
      } else {
        if (child.name === "br") owner.breaks += 1;
        owner.text += "\n";
        const block = { node: child, text: child.name === "img" ? (child.attribs.alt ?? "") : "", marks: [], breaks: 0, within }; // prettier-ignore
        found.push(block);
        let inside = within;
        if (child.name === "ul" || child.name === "ol")
          inside = { ...within, kind: child.name, level: within.level + 1, items: { count: (Number(child.attribs.start) || 1) - 1 } }; // prettier-ignore
        else if (child.name === "li" && within.kind) {
          within.items.count += 1;
          inside = { ...within, item: within.items.count };
        } else if (child.name === "td" || child.name === "th") inside = { ...within, cell: cellOf(child) };
        else if (child.name === "blockquote") inside = { ...within, quote: within.quote + 1 };
        block.within = inside;
        visit(child, block, inside);
      }
    }
  }
  const outside = { kind: "", level: 0, item: 0, items: null, cell: undefined, quote: 0 };
  const first = { node: main, text: "", marks: [], breaks: 0, within: outside };
  found.push(first);
  visit(main, first, outside);
  const blocks = [];
  const selectorMap = {};
  for (const { node, text, marks, within } of found) {
    const content = node.name === "pre" ? text : collapse(text);
    if (!content.trim() && node.name !== "img") continue;
    const id = `block-${blocks.length}`;
    const block = { id, type: node.name, content };
    const attributes = Object.entries(node.attribs).filter(([name]) => !name.startsWith("on"));
    if (attributes.length) block.attributes = Object.fromEntries(attributes);
    if (marks.length) {
      const inside = placed(text, marks, content, resolve);
      if (inside.links.length) block.links = inside.links;
      if (inside.marks.length) block.marks = inside.marks;
    }
    if (within.item) block.list = { kind: within.kind, level: within.level, item: within.item };
    if (within.cell) block.table = within.cell;
    if (within.quote) block.quote = within.quote;
    if (node.name === "pre") {
      const language = LANGUAGE.exec(`${node.attribs.class ?? ""} ${node.children[0]?.attribs?.class ?? ""}`);
      if (language) block.language = language[1];
    }
    blocks.push(block);
    selectorMap[id] = selector(node);
  }
  return [blocks, selectorMap];
}

/** Resolves addresses against the page's own, each once. */
function resolver(path) {
  const known = new Map();
  const base = new URL(`https://site.invalid/${path}`);
  return (href) => {
    let made = known.get(href);
    if (made === undefined) {
      const url = URL.canParse(href, base) ? new URL(href, base) : null;
      made = url ? (url.origin === base.origin ? url.href.slice(base.origin.length) : url.href) : href;
      known.set(href, made);
    }
    return made;
  };
}

export function extract(path, html) {
  const $ = load(html, { scriptingEnabled: true });
  const body = $("body")[0];
  if (!body) return "";
  const [main, mainSelector] = findMain($, body);
  const resolve = resolver(path);
  const [blocks, selectorMap] = readBlocks(main, selectors($), resolve);
  const assets = new Set();
  for (const { attribs } of $("img[src], source[src], video[src], audio[src]")) {
    const address = resolve(attribs.src);
    if (address.startsWith("/")) assets.add(address.slice(1));
  }
  const above = Math.min(12, blocks.length);
  return JSON.stringify({
    path,
    engine: "html",
    main_selector: mainSelector,
    head: readHead($),
    dimensions: {},
    above_fold_blocks: blocks.slice(0, above),
    rest_of_page_blocks: blocks.slice(above),
    selector_map: selectorMap,
    url: resolve(""),
    assets: [...assets].sort(),
  });
}
