/** Logging in with an API key. */

import { api, ApiError } from "./api.js";
import { el, setText } from "./dom.js";
import { durationText, text } from "./texts.js";

/** @param {HTMLElement} root */
export function show(root) {
  const key = el("input", { type: "password", name: "key", autocomplete: "current-password", required: true });
  const problem = el("p", { role: "alert" }, query().has("link") && text("linkUsed"));
  const form = el(
    "form",
    { class: "login" },
    el("h1", {}, text("login")),
    el("label", {}, text("apiKey"), key),
    el("button", { class: "primary" }, text("login")),
    problem,
    el("p", { class: "quiet" }, text("loginHelp"), " ", el("code", {}, "doit nimbus:key:create --service --name=me")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    setText(problem, "");
    try {
      await api("/api/session", { method: "POST", body: { key: key.value } });
      location.assign(nextPage());
    } catch (error) {
      setText(problem, error instanceof ApiError ? refusalText(error) : text("unknown"));
      key.select();
    }
  });
  root.replaceChildren(form);
  key.focus();
}

/** @param {ApiError} error */
function refusalText(error) {
  if (error.kind === "rate_limit") return text("loginTooOften", { time: durationText(error.retryAfter) });
  if (error.status === 403) return text("loginForPrograms");
  return error.kind === "auth" ? text("loginWrong") : text(error.kind);
}

/** @returns {string} the page that asked for the login; never one of another site */
function nextPage() {
  const next = new URL(query().get("next") ?? "/", location.origin);
  return next.origin === location.origin ? next.pathname + next.search : "/";
}

function query() {
  return new URLSearchParams(location.search);
}
