/** One asset: its picture, what is known of it, addresses to copy. */

import { announce } from "./announce.js";
import { api, ApiError } from "./api.js";
import { el } from "./dom.js";
import { bytesText, text } from "./texts.js";

/** @typedef {import("./gallery.js").Asset & {pages?: {url: string, title: string}[]}} Asset */

/** @param {HTMLElement} root */
export async function show(root) {
  const id = new URLSearchParams(location.search).get("id") ?? "";
  try {
    root.replaceChildren(...view(await api(`/api/assets/${encodeURIComponent(id)}`)));
  } catch (error) {
    const isGone = error instanceof ApiError && error.status === 404;
    root.replaceChildren(el("p", { role: "alert" }, text(isGone ? "assetGone" : "unknown")));
  }
}

/** @param {Asset} asset */
function view(asset) {
  const picture = asset.mimeType.startsWith("image/")
    ? el("img", { src: asset.blobUrl, alt: asset.filename })
    : el("p", { class: "no-picture quiet" }, text("noPicture"));
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
  for (const page of asset.pages ?? []) add("usedBy", el("a", { href: page.url }, page.title || page.url));
  const problem = asset.processingError ?? asset.embeddingError;
  if (problem) add("lastError", problem);
  const actions = el("p", { class: "actions" });
  if (asset.embedded) actions.append(el("a", { href: `/gallery?like=${encodeURIComponent(asset.id)}` }, text("findSimilar"))); // prettier-ignore
  actions.append(el("button", { type: "button", onclick: () => void remove(asset) }, text("delete")));
  return [el("h1", {}, asset.filename), el("div", { class: "asset" }, el("div", {}, picture), el("div", {}, fields, actions))]; // prettier-ignore
}

/** @param {Asset} asset */
function stateOf(asset) {
  if (asset.failedAt) return "failed";
  return asset.embedded ? "ready" : "uploaded";
}

/** @param {string} value */
function copyButton(value) {
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    announce(text("copied"));
  };
  return el("button", { type: "button", class: "small", onclick: copy }, text("copy"));
}

/** @param {Asset} asset */
async function remove(asset) {
  if (!confirm(text("deleteAsk", { name: asset.filename }))) return;
  await api(`/api/assets/${encodeURIComponent(asset.id)}`, { method: "DELETE" });
  location.assign("/gallery");
}
