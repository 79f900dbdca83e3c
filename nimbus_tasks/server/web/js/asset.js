/** One asset: its picture, what is known of it, addresses to copy. */

import { announce } from "./announce.js";
import { api, ApiError } from "./api.js";
import { copyButton } from "./copy.js";
import { el } from "./dom.js";
import { bytesText, problemText, text } from "./texts.js";

/** @typedef {{url: string, title: string}} Page url: a path where the site's domain is not known */
/** @typedef {import("./gallery.js").Asset & {pages: Page[]}} Asset */

/** Milliseconds between two looks at a file whose jobs are not done. */
const EVERY = 5000;

/** @param {HTMLElement} root */
export async function show(root) {
  const id = new URLSearchParams(location.search).get("id");
  const address = `/api/assets/${encodeURIComponent(id ?? "")}`;
  let shown = "";
  const look = async () => {
    /** @type {Asset} */
    const asset = await api(address);
    const now = JSON.stringify(asset);
    if (now !== shown) root.replaceChildren(...view(asset, () => void retry()));
    shown = now;
    document.title = `${asset.filename} · Nimbus Tasks`;
    if (stateOf(asset) === "uploaded") follow();
  };
  const follow = () => setTimeout(() => void look().catch((error) => error.isTransient && follow()), EVERY);
  const retry = async () => {
    await api(`${address}/retry-processing`, { method: "POST" });
    announce(text("queuedAgain"));
    await look();
  };
  try {
    if (!id) throw new ApiError("invalid", "", { status: 404 });
    await look();
  } catch (error) {
    const isGone = error instanceof ApiError && (error.status === 404 || error.status === 400);
    root.replaceChildren(
      el("h1", {}, text("file")),
      el("p", { role: "alert" }, isGone ? text("assetGone") : problemText(error)),
      el("p", {}, el("a", { href: "/gallery" }, text("gallery"))),
    );
  }
}

/**
 * @param {Asset} asset
 * @param {() => void} again
 */
function view(asset, again) {
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
  add("size", `${size}${bytesText(asset.size)}`);
  add("type", asset.mimeType);
  add("state", text(stateOf(asset)));
  add("uploadedAt", new Date(asset.createdAt).toLocaleString("en"));
  add("checksum", asset.checksum, " ", copyButton(asset.checksum));
  const addresses = /** @type {const} */ ([
    ["address", asset.blobUrl],
    ["mainPicture", asset.imageUrl],
    ["thumbnail", asset.thumbnailUrl],
  ]);
  for (const [name, url] of addresses) {
    if (url) add(name, el("a", { href: url }, url), " ", copyButton(new URL(url, location.href).href));
  }
  if (asset.pages.length) add("usedBy", el("ul", { class: "plain" }, ...asset.pages.map((page) => el("li", {}, ...linkTo(page))))); // prettier-ignore
  const problem = asset.processingError ?? asset.embeddingError;
  if (problem) add("lastError", problem);
  const actions = el("p", { class: "actions" });
  if (asset.embedded) actions.append(el("a", { href: `/gallery?like=${encodeURIComponent(asset.id)}` }, text("findSimilar"))); // prettier-ignore
  if (asset.failedAt) actions.append(el("button", { type: "button", onclick: again }, text("retry")));
  actions.append(el("button", { type: "button", onclick: () => void remove(asset) }, text("delete")));
  return [el("h1", {}, asset.filename), el("div", { class: "asset" }, el("div", {}, picture), el("div", {}, fields, actions))]; // prettier-ignore
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

/** @param {Asset} asset */
async function remove(asset) {
  if (!confirm(text("deleteAsk", { name: asset.filename }))) return;
  await api(`/api/assets/${encodeURIComponent(asset.id)}`, { method: "DELETE" });
  location.assign("/gallery");
}
