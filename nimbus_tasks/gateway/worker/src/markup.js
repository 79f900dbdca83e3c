/**
 * A text with its links, marks, breaks and inner blocks, as pieces in their order. The same as
 * `nimbus_tasks/html/render/markup.py`, and held to the same cases: change both.
 */

/** @typedef {import("./tree.js").Leaf} Leaf */
/** @typedef {import("./tree.js").Node} Node */
/** @typedef {import("./page.js").Link} Link */
/** @typedef {import("./page.js").Page} Page */

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
/** Names that a server leaves out of an address: `html/extract/addresses.py` has the same. */
const INDEX = new Set(["index.html", "index.htm"]);
/** A part of a `srcset`, and one that is no address: `2x`, `640w,`. */
const PART = /[^ \t\n\f\r]+/g;
const DESCRIPTOR = /^[0-9.]+[hwx],?$/;
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

// --- addresses of images ------------------------------------------------------------------------------
//
// Links are stored as paths from the site's root, images as the page has them. A reader wants both alike.

/** Where on its site a page stands, `/docs/`; "" where it does not say so. @param {Page} page */
export function folderOf({ path, url }) {
  if (!url.startsWith("/")) {
    return "";
  }
  let end = url.length;
  while (url[end - 1] === "/") {
    end--;
  }
  // Canonical addresses leave out, or add, the slash that tells a folder from a page.
  const own = url.slice(0, end);
  const isFolder = INDEX.has(path.slice(path.lastIndexOf("/") + 1));
  return `${isFolder ? own : own.slice(0, Math.max(0, own.lastIndexOf("/")))}/`;
}

/**
 * An address as a path from the site's root, unless it is one, names a host, or the folder is unknown.
 * @param {string} address
 * @param {string} folder
 */
export function resolved(address, folder) {
  if (!folder || !address || /^[/#?]/.test(address) || SCHEME.test(address)) {
    return address;
  }
  return withoutDots(folder + address);
}

/** A `srcset` with its addresses resolved. @param {string} srcset @param {string} folder */
export const resolvedSet = (srcset, folder) =>
  srcset.replace(PART, (part) => (DESCRIPTOR.test(part) ? part : resolved(part, folder)));

/** Resolve `.` and `..` in the path of an address; those beyond the root are dropped. @param {string} address */
function withoutDots(address) {
  const found = address.search(/[?#]/);
  const end = found < 0 ? address.length : found;
  /** @type {string[]} */
  const parts = [];
  const steps = address.slice(1, end).split("/");
  for (const step of steps) {
    if (step === "..") {
      parts.pop();
    } else if (step !== ".") {
      parts.push(step);
    }
  }
  if (/^\.\.?$/.test(steps.at(-1) ?? "")) {
    parts.push("");
  }
  return `/${parts.join("/")}${address.slice(end)}`;
}
