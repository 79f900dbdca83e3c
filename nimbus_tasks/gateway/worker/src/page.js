/**
 * The page of a record: what has the shape of ours is read, all else is left out. The same as the first half of
 * `nimbus_tasks/html/render/tree.py`, and held to the same cases: change both.
 */

/** @typedef {{text: string, href: string, rel?: string}} Link */
/** @typedef {{type: string, start: number, end: number}} Mark */
/** @typedef {{src: string, type?: string, media?: string}} Picture */
/** @typedef {{type: string, src: string, title?: string, after?: string}} Media */

/**
 * @typedef {object} Block
 * @property {string} id
 * @property {string} type
 * @property {string} content
 * @property {Record<string, string>} attributes
 * @property {Link[]} links
 * @property {Mark[]} marks
 * @property {number[]} breaks
 * @property {{id: string, at: number}[]} inner
 * @property {{kind: string, level: number, item: number, checked?: boolean}} [list]
 * @property {{id: string, row: number, column: number, header?: boolean}} [table]
 * @property {number} quote
 * @property {string} group
 * @property {string} language
 * @property {Picture[]} sources
 */

/** @typedef {{path: string, url: string, head: Record<string, string>, media: Media[], blocks: Block[]}} Page */

/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const text = (value) => typeof value === "string";
/** @type {Check} */
const whole = (value) => Number.isInteger(value);
/** @type {Check} */
const flag = (value) => typeof value === "boolean";
/** @type {Check} */
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {...string} words @returns {Check} */
const oneOf =
  (...words) =>
  (value) =>
    words.includes(value);
/** @param {Check} check @returns {Check} */
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
/** @param {Check} check @returns {Check} */
const mapOf = (check) => (value) => object(value) && Object.values(value).every(check);
/** @param {Record<string, Check>} needed @param {Record<string, Check>} [optional] @returns {Check} */
function shape(needed, optional = {}) {
  const [must, may] = [Object.entries(needed), Object.entries(optional)];
  return (value) =>
    object(value) &&
    must.every(([name, check]) => check(value[name])) &&
    may.every(([name, check]) => !Object.hasOwn(value, name) || check(value[name]));
}

const isPicture = shape({ src: text }, { type: text, media: text });
const isMedia = shape(
  { type: oneOf("iframe", "video", "audio", "og:image"), src: text },
  { title: text, poster: text, after: text, sources: listOf(isPicture) },
);
const isBlock = shape({ id: text, type: text, content: text }, { attributes: mapOf(text), optimized_content: text });
const isPage = shape(
  {
    engine: text,
    main_selector: text,
    head: mapOf(text),
    dimensions: object,
    above_fold_blocks: listOf(isBlock),
    rest_of_page_blocks: listOf(isBlock),
    selector_map: mapOf(text),
  },
  { path: text },
);

/** What our extraction adds to a block. @type {Record<string, {check: Check, otherwise: unknown}>} */
const ADDED = {
  links: { check: listOf(shape({ text, href: text }, { rel: text })), otherwise: [] },
  marks: {
    check: listOf(shape({ type: oneOf("a", "em", "strong", "code", "kbd", "sub", "sup"), start: whole, end: whole })),
    otherwise: [],
  },
  breaks: { check: listOf(whole), otherwise: [] },
  inner: { check: listOf(shape({ id: text, at: whole })), otherwise: [] },
  list: {
    check: shape({ kind: oneOf("ul", "ol"), level: whole, item: whole }, { checked: flag }),
    otherwise: undefined,
  },
  table: { check: shape({ id: text, row: whole, column: whole }, { header: flag }), otherwise: undefined },
  quote: { check: whole, otherwise: 0 },
  group: { check: text, otherwise: "" },
  language: { check: text, otherwise: "" },
  sources: { check: listOf(isPicture), otherwise: [] },
};

/**
 * @param {any} document the `extraction` of a record
 * @returns {Page | null} null if it is no page; what has another shape than ours is left out
 */
export function readPage(document) {
  if (!isPage(document)) {
    return null;
  }
  const media = listOf(isMedia)(document.media) ? document.media : [];
  return {
    path: document.path ?? "",
    url: text(document.url) ? document.url : "",
    head: document.head,
    media,
    blocks: [...document.above_fold_blocks, ...document.rest_of_page_blocks].map(full),
  };
}

const FIELDS = Object.entries(ADDED);

/** @param {any} block @returns {Block} */
function full(block) {
  const { id, type, content, attributes = {} } = block;
  /** @type {Record<string, unknown>} */
  const read = { id, type, content, attributes };
  for (const [name, { check, otherwise }] of FIELDS) {
    read[name] = Object.hasOwn(block, name) && check(block[name]) ? block[name] : otherwise;
  }
  return /** @type {any} */ (read);
}
