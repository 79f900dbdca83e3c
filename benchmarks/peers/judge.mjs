/**
 * What a browser shows of a page: the reference that extractions are judged by.
 *
 * Reads one request a line from standard input, and answers each with one line of JSON: the words of the content, the
 * words above the fold at two sizes of the window, facts of the head; or what each selector finds, and the links, cells
 * and list items. Pages come from a server on loopback whose policy forbids scripts: to switch JavaScript off would
 * change how `noscript` is read.
 */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const WINDOWS = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];
/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html",
  ".htm": "text/html",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".gif": "image/gif",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
};

let root = "";

const server = createServer(async (request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://judge").pathname));
  const file = join(root, path);
  try {
    if (!(await stat(file)).isFile()) throw new Error("no file");
    // No charset: the page's own declaration counts, as for the extractor, which sees files.
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file).toLowerCase()] ?? "application/octet-stream",
      "Content-Security-Policy": "script-src 'none'",
    });
    createReadStream(file).pipe(response);
  } catch {
    response.writeHead(404).end();
  }
});

/** Runs in the page: the visible words of the content, and those that begin above the fold. */
function measure({ container, exclude, optional, whole }) {
  const outer = [...document.querySelectorAll(container)];
  const roots = outer.filter((element) => !outer.some((other) => other !== element && other.contains(element)));
  const within = (element, selector) => selector !== "" && element.closest(selector) !== null;
  // innerText leaves out what a closed <details> holds; readers can open it.
  if (whole) for (const details of document.querySelectorAll("details")) details.open = true;
  const parts = [];
  const optionalParts = [];
  const above = [];
  const range = document.createRange();
  for (const element of roots) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const parent = node.parentElement;
      if (!node.data || !parent || parent.closest("svg, math annotation")) continue;
      if (exclude && within(parent, exclude)) continue;
      if (!parent.checkVisibility({ visibilityProperty: true })) continue;
      range.selectNodeContents(node);
      const boxes = range.getClientRects();
      if (boxes.length === 0) continue;
      // A block boundary separates words, an inline element does not.
      let block = parent;
      while (block !== element && getComputedStyle(block).display.startsWith("inline")) block = block.parentElement;
      const target = optional && within(parent, optional) ? optionalParts : parts;
      // White space alone separates words too: `<span>def</span> <span>f</span>`.
      target.push([node.data, boxes[0].top + scrollY < innerHeight, block]);
    }
  }
  const join = (list) => {
    let text = "";
    let last;
    for (const [data, , block] of list) {
      text += block === last ? data : `\n${data}`;
      last = block;
    }
    return text;
  };
  above.push(...parts.filter(([, isAbove]) => isAbove));
  const optionalAbove = optionalParts.filter(([, isAbove]) => isAbove);
  return { text: join(parts), optional: join(optionalParts), above: join(above), optional_above: join(optionalAbove) };
}

/** Runs in the page: the head's facts. */
function facts() {
  return {
    head: {
      title: document.title,
      metaDescription: document.querySelector('meta[name="description" i]')?.content ?? "",
      canonical: document.querySelector('link[rel~="canonical" i]')?.href ?? "",
      lang: document.documentElement.lang,
    },
    encoding: document.characterSet,
  };
}

/**
 * Runs in the page: for each selector, how many elements it finds, and the texts in the first, node by node; the links,
 * cells and list items that the content shows, with the selectors (by number) that find something in them.
 */
function resolve({ selectors, container, exclude, optional }) {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const textNodes = (element) => {
    const nodes = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) nodes.push(node);
    return nodes;
  };
  /** @type {Map<Element | null, number[]>} */
  const inside = new Map();
  const found = selectors.map((selector, number) => {
    try {
      const elements = document.querySelectorAll(selector);
      const first = elements[0];
      if (!first) return [0, []];
      for (const owner of new Set([first.closest("td, th, table"), first.closest("li")])) {
        const numbers = inside.get(owner);
        if (numbers) numbers.push(number);
        else inside.set(owner, [number]);
      }
      const texts = first instanceof HTMLImageElement ? [first.alt] : textNodes(first).map((node) => node.data);
      return [elements.length, texts];
    } catch {
      return [-1, []];
    }
  });
  const left = [exclude, optional].filter(Boolean).join(", ");
  const shown = (node) => {
    const parent = node.parentElement;
    if (!node.data.trim() || !parent || parent.closest("svg, math annotation")) return false;
    if ((left && parent.closest(left)) || !parent.checkVisibility({ visibilityProperty: true })) return false;
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getClientRects().length > 0;
  };
  const all = (selector) =>
    [...document.querySelectorAll(selector)].filter((element) => element.closest(container) !== null);
  const words = (nodes) => nodes.map((node) => node.data).join("");
  const links = all("a[href]")
    .map((link) => [link.href.replace(location.origin, ""), words(textNodes(link).filter(shown))])
    .filter(([, text]) => text);
  /** @type {Map<Element, [number, number]>} */
  const places = new Map();
  // How HTML forms a table (section 4.9.12.1): a cell takes the first column that no cell from above reaches into.
  for (const table of document.querySelectorAll("table")) {
    /** @type {Map<Element | null, Set<string>>} */
    const groups = new Map();
    for (const row of table.rows) {
      const taken = groups.get(row.parentElement) ?? new Set();
      groups.set(row.parentElement, taken);
      let column = 0;
      for (const cell of row.cells) {
        while (taken.has(`${row.rowIndex} ${column}`)) column += 1;
        places.set(cell, [row.rowIndex, column]);
        const height = Math.min(cell.rowSpan || table.rows.length, table.rows.length - row.rowIndex);
        for (let y = row.rowIndex; y < row.rowIndex + height; y += 1) {
          for (let x = column; x < column + cell.colSpan; x += 1) taken.add(`${y} ${x}`);
        }
        column += cell.colSpan;
      }
    }
  }
  const own = (element, around) =>
    textNodes(element).some((node) => node.parentElement?.closest(around) === element && shown(node));
  const cells = all("td, th")
    .filter((cell) => own(cell, "td, th, table"))
    .map((cell) => [...(places.get(cell) ?? [-1, -1]), cell.localName === "th", inside.get(cell) ?? []]);
  const items = all("li")
    .filter((item) => item.parentElement?.matches("ul, ol, menu, dir") && own(item, "li"))
    .map((item) => {
      let level = 0;
      for (let list = item.parentElement; list; list = list.parentElement)
        level += Number(list.matches("ul, ol, menu, dir"));
      return [item.parentElement?.localName === "ol" ? "ol" : "ul", level, inside.get(item) ?? []];
    });
  return { selectors: found, links, cells, items };
}

await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
const page = await browser.newPage();

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  root = request.root;
  const address = `http://127.0.0.1:${port}/${request.path.split("/").map(encodeURIComponent).join("/")}`;
  try {
    /** @type {any} */
    const answer = { path: request.path };
    await page.setViewportSize(WINDOWS[0]);
    await page.goto(address, { waitUntil: "load", timeout: 60_000 });
    if (await page.evaluate(() => document.querySelector('meta[http-equiv="refresh" i]') !== null)) {
      process.stdout.write(`${JSON.stringify({ path: request.path, redirects: true })}\n`);
      continue;
    }
    if (request.selectors) {
      Object.assign(answer, await page.evaluate(resolve, request));
    } else {
      const asked = { container: request.container, exclude: request.exclude, optional: request.optional };
      Object.assign(answer, await page.evaluate(facts));
      answer.folds = [];
      for (const window of WINDOWS) {
        await page.setViewportSize(window);
        const { above, optional_above } = await page.evaluate(measure, { ...asked, whole: false });
        answer.folds.push({ ...window, text: above, optional: optional_above });
      }
      await page.setViewportSize(WINDOWS[0]);
      const { text, optional } = await page.evaluate(measure, { ...asked, whole: true });
      Object.assign(answer, { text, optional });
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ path: request.path, error: String(error) })}\n`);
  }
}
await browser.close();
server.close();
