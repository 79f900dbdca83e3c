/** One asset: its picture, what is known of it, addresses to copy. */

import { announce } from "./announce.js";
import { api, ApiError } from "./api.js";
import { copyButton } from "./copy.js";
import { restore, timeLeft } from "./deleted.js";
import { el } from "./dom.js";
import { bytesText, problemText, text, timeText } from "./texts.js";

/** @typedef {{url: string, title: string}} Page url: a path where the site's domain is not known */
/** @typedef {import("./card.js").Asset & {pages?: Page[]}} Asset */

/** Milliseconds between two looks at a file whose jobs are not done. */
const EVERY = 5000;

/** @param {HTMLElement} root */
export async function show(root) {
  const page = new AssetPage(root, new URLSearchParams(location.search).get("id") ?? "");
  await page.look().catch((error) => page.showProblem(error));
}

class AssetPage {
  /**
   * @param {HTMLElement} root
   * @param {string} id
   */
  constructor(root, id) {
    this._root = root;
    this._id = id || "none";
    this._path = `/api/assets/${encodeURIComponent(this._id)}`;
    this._shown = "";
    this._timer = 0;
  }

  /** Show the asset as it is now, and follow its jobs. */
  async look() {
    clearTimeout(this._timer);
    const asset = await this._find();
    const now = JSON.stringify(asset);
    const acts = {
      retry: () => void this._retry(),
      remove: () => void this._remove(asset),
      restore: () => void this._restore(),
    };
    const show = asset.restorableUntil ? deletedView : view;
    if (now !== this._shown) this._root.replaceChildren(...show(asset, acts));
    this._shown = now;
    document.title = `${asset.filename} · Nimbus Tasks`;
    if (stateOf(asset) === "uploaded" && !asset.restorableUntil) this._lookLater();
  }

  /** @returns {Promise<Asset>} the asset; also one that was deleted and can be restored */
  async _find() {
    try {
      return await api(this._path);
    } catch (error) {
      if (!isGone(error)) throw error;
      const { assets } = await api(`/api/assets?state=deleted&ids=${encodeURIComponent(this._id)}`);
      if (!assets.length) throw error;
      return assets[0];
    }
  }

  /** @param {unknown} error */
  showProblem(error) {
    this._root.replaceChildren(
      el("h1", {}, text("file")),
      el("p", { role: "alert" }, isGone(error) ? text("assetGone") : problemText(error)),
      el("p", {}, el("a", { href: "/gallery" }, text("gallery"))),
    );
  }

  _lookLater() {
    this._timer = setTimeout(() => void this.look().catch((error) => error.isTransient && this._lookLater()), EVERY);
  }

  async _retry() {
    await api(`${this._path}/retry-processing`, { method: "POST" });
    announce(text("queuedAgain"));
    await this.look();
  }

  /** @param {Asset} asset */
  async _remove(asset) {
    if (!confirm(text("deleteAsk", { name: asset.filename }))) return;
    await api(this._path, { method: "DELETE" });
    await this.look();
    announce(text("deleted"));
    this._root.querySelector("button")?.focus();
  }

  async _restore() {
    await restore(this._id);
    announce(text("restored"));
    await this.look();
    this._root.focus();
  }
}

/**
 * @param {Asset} asset
 * @param {{retry: () => void, remove: () => void}} acts
 */
function view(asset, { retry, remove }) {
  const nothing = el("p", { class: "quiet" }, text("noPicture"));
  // Browsers show the main picture of each format. The file itself may be one that they do not know, or damaged.
  const src = asset.imageUrl ?? asset.blobUrl;
  const picture =
    asset.mimeType.startsWith("image/") && !asset.processingError
      ? el("img", { src, alt: asset.filename, onerror: () => picture.replaceWith(nothing) })
      : nothing;
  const size = asset.width && asset.height ? `${asset.width} × ${asset.height}, ` : "";
  const fields = el("dl", { class: "fields" });
  const add = (/** @type {import("./texts.js").TextName} */ name, /** @type {(Node | string)[]} */ ...values) =>
    values.length && fields.append(el("dt", { class: "quiet" }, text(name)), el("dd", {}, ...values));
  if (asset.folder) add("folder", asset.folder);
  add("size", `${size}${bytesText(asset.size)}`);
  add("type", asset.mimeType);
  add("state", text(stateOf(asset)));
  add("uploadedAt", timeText(asset.createdAt));
  add("checksum", asset.checksum, " ", copyButton(asset.checksum));
  const addresses = /** @type {const} */ ([
    ["address", asset.blobUrl],
    ["mainPicture", asset.imageUrl],
    ["thumbnail", asset.thumbnailUrl],
  ]);
  for (const [name, url] of addresses) {
    if (url) add(name, el("a", { href: url }, url), " ", copyButton(new URL(url, location.href).href));
  }
  if (asset.pages?.length) add("usedBy", el("ul", { class: "plain" }, ...asset.pages.map((page) => el("li", {}, ...linkTo(page))))); // prettier-ignore
  const problem = asset.processingError ?? asset.embeddingError;
  if (problem) add("lastError", problem);
  const actions = el("p", { class: "actions" });
  if (asset.embedded) actions.append(el("a", { href: `/gallery?like=${encodeURIComponent(asset.id)}` }, text("findSimilar"))); // prettier-ignore
  if (asset.failedAt) actions.append(el("button", { type: "button", onclick: retry }, text("retry")));
  actions.append(el("button", { type: "button", onclick: remove }, text("delete")));
  return [el("h1", {}, asset.filename), el("div", { class: "asset" }, el("div", {}, picture), el("div", {}, fields, actions))]; // prettier-ignore
}

/**
 * @param {Asset} asset that was deleted
 * @param {{restore: () => void}} acts
 */
function deletedView(asset, { restore }) {
  const picture = asset.thumbnailUrl && el("img", { src: asset.thumbnailUrl, alt: asset.filename, onerror: () => picture && picture.remove() }); // prettier-ignore
  return [
    el("h1", {}, asset.filename),
    el("p", {}, text("deletedFor", { time: timeLeft(asset) })),
    el(
      "p",
      { class: "actions" },
      el("button", { type: "button", class: "primary", onclick: restore }, text("restore")),
      el("a", { href: "/deleted" }, text("recentlyDeleted")),
      el("a", { href: "/gallery" }, text("gallery")),
    ),
    el("div", { class: "asset" }, picture),
  ];
}

/** @param {unknown} error */
function isGone(error) {
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}

/** @param {Asset} asset */
function stateOf(asset) {
  if (asset.failedAt) return "failed";
  return asset.embedded ? "ready" : "uploaded";
}

/**
 * What other programs have said of pages is trusted as a link only where it leads to the web.
 * @param {Page} page
 */
function linkTo({ url, title }) {
  const address = el("span", { class: "quiet" }, url);
  if (/^https?:\/\//i.test(url)) return [el("a", { href: url }, title || url)];
  return title ? [title, " ", address] : [address];
}
