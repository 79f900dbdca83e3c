/** A picture or file in a list: its thumbnail and name, which lead to its page. */

import { el } from "./dom.js";
import { text } from "./texts.js";

/**
 * @typedef {object} Asset
 * @property {string} id
 * @property {string} filename
 * @property {string} folder that the file was in; "": not known
 * @property {string} blobUrl
 * @property {string | null} imageUrl
 * @property {string | null} thumbnailUrl
 * @property {number} size
 * @property {string} mimeType
 * @property {string} checksum
 * @property {number | null} width
 * @property {number | null} height
 * @property {boolean} processed
 * @property {boolean} embedded
 * @property {number | null} failedAt epoch milliseconds
 * @property {string | null} processingError
 * @property {string | null} embeddingError
 * @property {number} createdAt epoch milliseconds
 * @property {number | null} restorableUntil epoch milliseconds, of a deleted one
 */

/**
 * @param {Asset} asset
 * @param {...import("./dom.js").Child} notes below the name
 */
export function card(asset, ...notes) {
  const nothing = el("span", { class: "no-picture quiet" }, asset.failedAt ? text("failed") : text("noPicture"));
  const onerror = () => picture.replaceWith(nothing); // such as one in a bucket that lets nobody read
  const picture = asset.thumbnailUrl
    ? el("img", { src: asset.thumbnailUrl, alt: "", loading: "lazy", decoding: "async", onerror })
    : nothing;
  const href = `/asset?id=${encodeURIComponent(asset.id)}`;
  const name = el("span", { class: "card-name", title: asset.filename }, asset.filename);
  const folder = asset.folder && el("span", { class: "card-folder quiet", title: asset.folder }, asset.folder);
  return el("li", {}, el("a", { class: "card", href }, picture, name, folder, ...notes));
}
