/** Requests to the service. Each failure is an `ApiError` with a class, so that a page can say what to do about it. */

/** @typedef {"rate_limit" | "network" | "server" | "invalid" | "auth" | "quota" | "unknown"} ErrorClass */

/** Milliseconds without an answer before a request is given up. */
const TIMEOUT = 30_000;
const CLASSES = new Set(["rate_limit", "network", "server", "invalid", "auth", "quota", "unknown"]);

const SESSION = "/api/session";

/** @typedef {{userId: string, email: string, csrfToken: string, uploadConcurrency: number, filesUrl: string}} Session */

/** @type {Promise<Session> | null} */
let known = null;

/** @returns {Promise<Session>} who is logged in, asked once */
export function session() {
  known ??= api(SESSION);
  known.catch(() => (known = null));
  return known;
}

/** @type {() => boolean} whether the page stays although the session has ended: it says so then */
let staysLoggedOut = () => false;

/** @param {() => boolean} stays is asked when the session has ended; else the page leads to the login */
export function whenLoggedOut(stays) {
  staysLoggedOut = stays;
}

/** Ask again who is logged in: it may be somebody else, in another session. */
export function forgetSession() {
  known = null;
}

export class ApiError extends Error {
  /**
   * @param {ErrorClass} kind
   * @param {string} message as the server words it; "" if it said nothing
   * @param {{status?: number, retryAfter?: number}} details retryAfter: seconds
   */
  constructor(kind, message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get isTransient() {
    return this.kind === "network" || this.kind === "server" || this.kind === "rate_limit";
  }
}

/**
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} options body: sent as JSON
 * @returns {Promise<any>} the answer's JSON; null where it has none
 * @throws {ApiError}
 */
export async function api(path, { method = "GET", body, signal } = {}) {
  const isLogin = path === SESSION && method === "POST";
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (method !== "GET" && !isLogin) headers["x-csrf-token"] = (await session()).csrfToken;
  if (body !== undefined) headers["content-type"] = "application/json";
  const timeout = AbortSignal.timeout(TIMEOUT);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: "same-origin",
    });
  } catch {
    throw new ApiError("network", "");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && !isLogin) {
    if (staysLoggedOut()) throw new ApiError("network", ""); // it may succeed after a login in another tab
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  throw errorOf(response.status, answer, Number(response.headers.get("retry-after")));
}

/**
 * @param {number} status
 * @param {any} answer
 * @param {number} retryAfter seconds; 0 or NaN: not said
 */
export function errorOf(status, answer, retryAfter) {
  const kind = CLASSES.has(answer?.code) ? answer.code : classOf(status);
  const message = typeof answer?.error === "string" ? answer.error : "";
  return new ApiError(kind, message, { status, retryAfter: retryAfter || Number(answer?.retryAfter) || 0 });
}

/**
 * @param {number} status
 * @returns {ErrorClass}
 */
export function classOf(status) {
  if (status === 429) return "rate_limit";
  if (status === 401 || status === 403) return "auth";
  if (status === 507) return "quota";
  if (status === 0 || status === 408) return "network";
  return status >= 500 ? "server" : "invalid";
}
