// The same work with sharp, two pictures at a time on two cores: main picture and thumbnail, its cache off.
//
//     node sharp.mjs PICTURE COUNT        prints {"seconds", "main", "thumbnail"}: the time, and bytes of one of each

import { readFileSync } from "node:fs";
import sharp from "sharp";

const [path, count] = [process.argv[2], Number(process.argv[3])];
sharp.cache(false);
sharp.concurrency(1);
const data = readFileSync(path);

async function process_one() {
  const fit = (side) => ({ width: side, height: side, fit: "inside", withoutEnlargement: true });
  const upright = () => sharp(data, { failOn: "error" }).autoOrient();
  const { width } = await sharp(data).metadata();
  const main = await upright().resize(fit(2048)).jpeg({ quality: 82 }).toBuffer();
  const thumbnail = await upright().resize(fit(256)).webp({ quality: 82 }).toBuffer();
  return { width, main: main.length, thumbnail: thumbnail.length };
}

async function some(left) {
  let last;
  for (; left > 0; left--) last = await process_one();
  return last;
}

await Promise.all([some(1), some(1)]);
const started = process.hrtime.bigint();
const [made] = await Promise.all([some(count / 2), some(count / 2)]);
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
console.log(JSON.stringify({ seconds, main: made.main, thumbnail: made.thumbnail }));
