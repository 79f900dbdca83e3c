// Reads a JSON list of texts in DOT, prints a JSON list of SVG.
import { text } from "node:stream/consumers";
import { instance } from "@viz-js/viz";

const viz = await instance();
const drawn = JSON.parse(await text(process.stdin)).map((dot) => viz.renderString(dot, { format: "svg" }));
process.stdout.write(JSON.stringify(drawn));
