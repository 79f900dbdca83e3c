// Extraction with cheerio, the same work as ours: head, main content, blocks, a unique selector for each, JSON.
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

function readBlocks(main, selector) {
  const found = [];
  function visit(node, owner) {
    for (const child of node.children) {
      if (child.type === "text") owner.text += child.data;
      else if (!child.name || isUnseen(child)) continue;
      else if (main.name === "body" && AROUND.has(child.name)) continue;
      else if (PHRASING.has(child.name)) visit(child, owner);
      else {
        owner.text += "\n";
        const block = { node: child, text: child.name === "img" ? (child.attribs.alt ?? "") : "" };
        found.push(block);
        visit(child, block);
      }
    }
  }
  const first = { node: main, text: "" };
  found.push(first);
  visit(main, first);
  const blocks = [];
  const selectorMap = {};
  for (const { node, text } of found) {
    const content = node.name === "pre" ? text : collapse(text);
    if (!content.trim() && node.name !== "img") continue;
    const id = `block-${blocks.length}`;
    const block = { id, type: node.name, content };
    const attributes = Object.entries(node.attribs).filter(([name]) => !name.startsWith("on"));
    if (attributes.length) block.attributes = Object.fromEntries(attributes);
    blocks.push(block);
    selectorMap[id] = selector(node);
  }
  return [blocks, selectorMap];
}

export function extract(path, html) {
  const $ = load(html, { scriptingEnabled: true });
  const body = $("body")[0];
  if (!body) return "";
  const [main, mainSelector] = findMain($, body);
  const [blocks, selectorMap] = readBlocks(main, selectors($));
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
  });
}
