/** Sends the bytes of a file: to an address that the server has signed, or through the server. */

import { ApiError, classOf, errorOf, session } from "../api.js";

/** Milliseconds without progress before a request is given up. */
const STALLED = 30_000;

/**
 * @typedef {object} Signed
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 */

/**
 * @param {Signed} signed
 * @param {Blob | FormData} body
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<string>} what is answered
 * @throws {ApiError} `auth`: the address has expired
 */
export function send(signed, body, onSent, signal) {
  // fetch cannot tell how much of a body has been sent.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer = 0;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), STALLED);
    };
    const cancel = () => request.abort();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
    };
    request.open(signed.method, signed.url);
    for (const [name, value] of Object.entries(signed.headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      watch();
      onSent(event.loaded);
    });
    request.addEventListener("load", () => {
      end();
      if (request.status >= 200 && request.status < 300) return resolve(request.responseText);
      reject(refusalOf(request));
    });
    for (const failed of ["error", "abort"]) {
      request.addEventListener(failed, () => {
        end();
        reject(new ApiError("network", ""));
      });
    }
    signal.addEventListener("abort", cancel);
    watch();
    request.send(body);
  });
}

/** @param {XMLHttpRequest} request */
function refusalOf(request) {
  const retryAfter = Number(request.getResponseHeader("retry-after"));
  try {
    return errorOf(request.status, JSON.parse(request.responseText), retryAfter);
  } catch {
    // Object stores answer in XML.
    return new ApiError(classOf(request.status), "", { status: request.status, retryAfter });
  }
}

/**
 * Send a file through the server, which completes the upload itself.
 * @param {string} url
 * @param {File} file
 * @param {(sent: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<{asset: {id: string, isDuplicate: boolean, needsProcessing: boolean}}>}
 */
export async function sendThrough(url, file, onSent, signal) {
  const form = new FormData();
  form.append("file", file);
  const headers = { "x-csrf-token": (await session()).csrfToken };
  return JSON.parse(await send({ url, method: "POST", headers }, form, onSent, signal));
}
