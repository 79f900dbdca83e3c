/** Transfers one file: its bytes to a signed address, then the completion; and what a failure of that means. */

import { api, ApiError } from "../api.js";
import { folderOf } from "./items.js";
import { sendInParts } from "./parts.js";
import { send, sendThrough } from "./send.js";

/** @typedef {import("./items.js").Item} Item */

/** @typedef {{id: string, embedded: boolean}} KnownAsset embedded: it can be found */

/**
 * What the server answers for a file to upload; `isDuplicate` where it has the file, `error` where it refuses it.
 * expiresAt: epoch milliseconds. method: POST where the server takes the bytes itself.
 * @typedef {{uploadUrl: string, assetId: string, blobUrl: string, method: string, headers?: Record<string, string>,
 *   expiresAt: number, parts?: import("./parts.js").Part[], isDuplicate?: boolean, asset?: KnownAsset,
 *   error?: string, code?: import("../api.js").ErrorClass}} Grant
 */

/**
 * Send a file's bytes, and complete the upload.
 * @param {Item} item
 * @param {Grant} grant
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<{id: string, isDuplicate: boolean, needsProcessing: boolean}>}
 */
export async function transfer(item, grant, onSent, signal) {
  const file = await fileOf(item);
  if (grant.method === "POST") return (await sendThrough(grant.uploadUrl, file, onSent, signal)).asset;
  if (grant.parts) await sendInParts(grant.parts, file, onSent, signal);
  else await send({ url: grant.uploadUrl, method: "PUT", headers: grant.headers ?? {} }, file, onSent, signal);
  const body = { ...describe(item), assetId: grant.assetId, blobUrl: grant.blobUrl };
  const answer = await api("/api/upload-complete", { method: "POST", body, signal });
  return answer.asset;
}

/** @param {Item} item */
export function describe(item) {
  const { name: filename, size, type: mimeType, sha256: checksum } = item;
  return { filename, folder: folderOf(item.path), size, mimeType, checksum };
}

/**
 * @param {Item} item
 * @returns {Promise<File>}
 */
export async function fileOf(item) {
  if (!item.file && item.handle) item.file = await item.handle.getFile();
  if (!item.file) throw new ApiError("invalid", "unreadable");
  return item.file;
}

/** @returns {Promise<boolean>} whether the service answers, and its database and store */
export async function isReady() {
  return api("/readyz").then(
    () => true,
    () => false,
  );
}

/**
 * Whether nobody answers, or a proxy in place of the service.
 * @param {ApiError} error
 */
export function isOutage(error) {
  return error.kind === "network" || [502, 503, 504].includes(error.status);
}

/** @param {unknown} error */
export function asApiError(error) {
  return error instanceof ApiError ? error : new ApiError("unknown", error instanceof Error ? error.message : "");
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal ends the wait
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}
