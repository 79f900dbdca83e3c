/**
 * What a browser shows of a page: the reference that extractions are judged by.
 *
 * Reads one request a line from standard input, and answers each with one line of JSON: the words of the content, the
 * words above the fold at two sizes of the window, facts of the head, counts, and what each selector finds. Pages come
 * from a server on loopback whose policy forbids scripts: to switch JavaScript off would change how `noscript` is read.
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

/** Runs in the page: the head's facts, and counts of what an editor would miss. */
function facts({ container, exclude }) {
  const visible = (element) =>
    !(exclude && element.closest(exclude)) && element.checkVisibility({ visibilityProperty: true });
  const all = (selector) =>
    [...document.querySelectorAll(container)]
      .flatMap((element) => [...element.querySelectorAll(selector)])
      .filter((element, index, list) => list.indexOf(element) === index && visible(element));
  return {
    head: {
      title: document.title,
      metaDescription: document.querySelector('meta[name="description" i]')?.content ?? "",
      canonical: document.querySelector('link[rel~="canonical" i]')?.href ?? "",
      lang: document.documentElement.lang,
    },
    counts: {
      links: all("a[href]").filter((element) => element.textContent.trim()).length,
      cells: all("td, th").filter((element) => element.textContent.trim()).length,
      items: all("li").length,
    },
    encoding: document.characterSet,
  };
}

/** Runs in the page: for each selector, how many elements it finds, and their text. */
function resolve(selectors) {
  return selectors.map((selector) => {
    try {
      const found = document.querySelectorAll(selector);
      const first = found[0];
      return [found.length, first ? (first instanceof HTMLImageElement ? first.alt : first.textContent) : ""];
    } catch {
      return [-1, ""];
    }
  });
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
      answer.selectors = await page.evaluate(resolve, request.selectors);
    } else {
      const asked = { container: request.container, exclude: request.exclude, optional: request.optional };
      Object.assign(answer, await page.evaluate(facts, asked));
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
