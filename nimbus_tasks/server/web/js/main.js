/** Shows the page that the address names. */

import { api, ApiError, session } from "./api.js";
import { el, find } from "./dom.js";
import { problemText, text } from "./texts.js";

/** @typedef {(root: HTMLElement) => void | Promise<void>} Show */

/** @type {Record<string, () => Promise<{show: Show}>>} */
const PAGES = {
  "/": () => import("./upload/page.js"),
  "/gallery": () => import("./gallery.js"),
  "/asset": () => import("./asset.js"),
  "/deleted": () => import("./deleted.js"),
  "/failed-jobs": () => import("./failed-jobs.js"),
  "/status": () => import("./status.js"),
  "/batches": () => import("./batches.js"),
  "/keys": () => import("./keys.js"),
  "/login": () => import("./login.js"),
};

/** @type {[string, import("./texts.js").TextName][]} */
const LINKS = [
  ["/", "upload"],
  ["/gallery", "gallery"],
  ["/failed-jobs", "failedJobs"],
  ["/status", "status"],
  ["/batches", "batches"],
  ["/keys", "keys"],
];

/** Pages that have no link of their own, and whose they are. */
const PARTS = /** @type {Record<string, string>} */ ({ "/asset": "/gallery", "/deleted": "/gallery" });

const problem = el("p", { class: "note", role: "alert" });

/**
 * Say what failed where the page itself does not: an action, or what it shows. It stays until the next click.
 * @param {unknown} error
 */
function showProblem(error) {
  problem.replaceChildren(problemText(error));
  find(document, "#page", HTMLElement).prepend(problem);
}

function showHeader() {
  const here = location.pathname;
  const links = LINKS.map(([path, name]) =>
    el("a", { href: path, "aria-current": path === here ? "page" : path === PARTS[here] && "true" }, text(name)),
  );
  const logout = el("button", { type: "button", class: "small", onclick: logOut }, text("logout"));
  find(document, "#top", HTMLElement).replaceChildren(
    el("a", { class: "skip", href: "#page" }, text("skip")),
    el("strong", {}, "Nimbus Tasks"),
    ...(here === "/login" ? [] : [el("nav", { "aria-label": text("pages") }, ...links), logout]),
  );
  showCurrentLink();
}

/** On a phone not all links have room. `scrollIntoView` would let the first Tab begin there, behind the skip link. */
function showCurrentLink() {
  const link = document.querySelector(".top [aria-current]");
  const nav = link?.parentElement;
  if (!(link instanceof HTMLElement) || !nav) return;
  nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

async function logOut() {
  await api("/api/session", { method: "DELETE" });
  location.assign("/login");
}

/** @param {HTMLElement} root */
function showNoPage(root) {
  root.replaceChildren(el("h1", {}, text("noPage")));
}

async function start() {
  const here = location.pathname;
  // Without a session this leads to the login: there is nothing else to show.
  const isAllowed = here === "/login" || (await session().catch((error) => error.kind !== "auth"));
  if (!isAllowed) return;
  showHeader();
  const name = here === "/login" ? "login" : LINKS.find(([path]) => path === here)?.[1];
  if (name) document.title = `${text(name)} · Nimbus Tasks`;
  const { show } = (await PAGES[here]?.()) ?? { show: showNoPage };
  await show(find(document, "#page", HTMLElement));
}

addEventListener("click", () => problem.remove(), true);
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof ApiError)) return;
  event.preventDefault();
  showProblem(event.reason);
});
await start().catch(showProblem);
