// Texts into pages through a parser, with cheerio: read the page, set the texts of some elements, write the page.
//
//     node rewrite.mjs ASKED [FOLDER]        prints {"seconds"}
//
// ASKED has a line of JSON for each page: {"path", "texts": [[selector, text], ...]}. Its pages are in memory when the
// clock starts. With FOLDER, the pages as they were rewritten go there, as 0, 1, 2, ...

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "cheerio";

const [file, folder] = process.argv.slice(2);
const asked = readFileSync(file, "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line));
const pages = asked.map(({ path, texts }) => [readFileSync(path, "utf8"), texts]);

function rewrite([html, texts]) {
  const $ = load(html, { scriptingEnabled: true });
  const found = texts.map(([selector, text]) => [$(selector), text]);
  for (const [element, text] of found) {
    if (element.is("img")) element.attr("alt", text);
    else element.text(text);
  }
  return $.html();
}

const started = process.hrtime.bigint();
const made = pages.map(rewrite);
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
if (folder) made.forEach((html, number) => writeFileSync(join(folder, `${number}`), html));
console.log(JSON.stringify({ seconds }));
