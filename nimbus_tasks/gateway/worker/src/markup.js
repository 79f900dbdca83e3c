/**
 * A text with its links, marks, breaks and inner blocks, as pieces in their order. The same as
 * `nimbus_tasks/html/render/markup.py`, and held to the same cases: change both.
 */

/** @typedef {import("./tree.js").Leaf} Leaf */
/** @typedef {import("./tree.js").Node} Node */
/** @typedef {import("./tree.js").Link} Link */

/**
 * A part of a text.
 * @typedef {object} Piece
 * @property {"text" | "open" | "close" | "break" | "inner"} kind
 * @property {string} text the words, or the mark's type
 * @property {Link} [link] of a mark that opens
 * @property {Node} [node] what stands in the text here
 */

/** Elements that keep their white space: `html/extract/text.py` has the same. */
export const PREFORMATTED = new Set(["listing", "plaintext", "pre", "xmp"]);
export const HEADINGS = new Set(["h1", "h2", "h3", "h4", "h5", "h6"]);

const SCHEME = /^[\x00-\x20]*([a-zA-Z][a-zA-Z0-9+.-]*):/; // eslint-disable-line no-control-regex
const SAFE_SCHEMES = new Set(["ftp", "http", "https", "mailto", "tel"]);

/** An address that a reader may follow; "" where it would run a script or the like. @param {string} address */
export function safe(address) {
  const scheme = SCHEME.exec(address)?.[1];
  return scheme !== undefined && !SAFE_SCHEMES.has(scheme.toLowerCase()) ? "" : address;
}

/**
 * The pieces of a block's text. Marks are closed in the reverse order of their opening.
 * @param {Leaf} leaf
 * @returns {Generator<Piece>}
 */
export function* piecesOf({ block, inner: places }) {
  // Offsets count code points.
  const content = /[\ud800-\udfff]/.test(block.content) ? Array.from(block.content) : block.content;
  const length = content.length;
  const links = block.links.values();
  const marks = [];
  for (const { type, start, end } of block.marks) {
    const link = type === "a" ? links.next().value : undefined;
    if (0 <= start && start <= end) {
      marks.push({ start: Math.min(start, length), end: Math.min(end, length), type, link });
    }
  }
  marks.sort((one, other) => one.start - other.start || other.end - one.end); // stable
  const breaks = new Set(block.breaks.filter((place) => 0 < place && place < length));
  const inner = new Map([...places].map(([place, node]) => [Math.min(place, length), node]));
  const all = new Set([0, length, ...breaks, ...inner.keys(), ...marks.flatMap(({ start, end }) => [start, end])]);
  const stops = [...all].sort((one, other) => one - other);
  /** @type {number[]} */
  const open = [];
  let done = 0;
  for (const [at, place] of stops.entries()) {
    const end = stops[at + 1] ?? length;
    while (open.length && (open.at(-1) ?? 0) <= place) {
      open.pop();
      yield { kind: "close", text: "" };
    }
    const node = inner.get(place);
    if (node) {
      yield { kind: "inner", text: "", node };
    }
    if (breaks.has(place)) {
      yield { kind: "break", text: "" };
    }
    for (let mark = marks[done]; mark && mark.start <= place; mark = marks[++done]) {
      yield { kind: "open", text: mark.type, link: mark.link };
      if (mark.end <= place) {
        yield { kind: "close", text: "" };
      } else {
        open.push(Math.min(mark.end, open.at(-1) ?? mark.end));
      }
    }
    const start = breaks.has(place) && content[place] === " " ? place + 1 : place;
    if (start < end) {
      const part = content.slice(start, end);
      yield { kind: "text", text: typeof part === "string" ? part : part.join("") };
    }
  }
  for (let left = open.length; left > 0; left--) {
    yield { kind: "close", text: "" };
  }
}
