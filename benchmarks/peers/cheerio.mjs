// The same work with cheerio, in memory, on one core.
//
//     node cheerio.mjs < paths.txt        prints {"seconds", "pages", "bytes"}

import { readFileSync } from "node:fs";
import { extract } from "./extracting.mjs";

const paths = readFileSync(0, "utf8").split("\n").filter(Boolean);
const pages = paths.map((path) => readFileSync(path, "utf8"));
const started = process.hrtime.bigint();
let bytes = 0;
pages.forEach((html, number) => {
  const json = extract(paths[number], html);
  bytes += Buffer.byteLength(json);
});
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
console.log(JSON.stringify({ seconds, pages: pages.length, bytes }));
