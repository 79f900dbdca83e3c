/**
 * The answers to clients. Code that cannot grant a request throws a `Refusal`, which becomes the answer. Messages are
 * one sentence for a person and never repeat a secret.
 */

const STATUS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  precondition_failed: 412,
  too_large: 413,
  rate_limited: 429,
  store_unavailable: 503,
};

/** Seconds until a refused write may be retried: KV takes one write a second to a key. */
const RETRY_SECONDS = "1";

export const HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

export class Refusal extends Error {
  /**
   * @param {keyof typeof STATUS} code
   * @param {string} message one sentence
   * @param {Record<string, string>} headers
   */
  constructor(code, message, headers = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** @param {unknown} body @param {Record<string, string>} headers */
export function json(body, headers = {}, status = 200) {
  return Response.json(body, { status, headers: { ...HEADERS, ...headers } });
}

/** @param {ReadableStream | Uint8Array} bytes UTF-8 text @param {Record<string, string>} headers */
export function text(bytes, headers = {}) {
  return new Response(bytes, { headers: { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...headers } });
}

/** @param {Refusal} refusal */
export function refused({ code, message, headers }) {
  return json({ error: { code, message } }, headers, STATUS[code]);
}

/**
 * Translate an error of KV or of a Durable Object, which carry a status in their message only.
 * @param {unknown} error
 */
export function refusalFor(error) {
  if (error instanceof Refusal) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/\b429\b/.test(message)) {
    return new Refusal("rate_limited", "KV takes no more writes for now.", { "Retry-After": RETRY_SECONDS });
  }
  if (/\b413\b/.test(message)) {
    return new Refusal("too_large", "The answer would be too large.");
  }
  console.error(error instanceof Error ? (error.stack ?? message) : message);
  return new Refusal("store_unavailable", "The store does not answer.");
}
