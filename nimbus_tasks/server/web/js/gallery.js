/** All pictures and files, newest first; search by words, and by a similar picture. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { card } from "./card.js";
import { el, setText } from "./dom.js";
import { text } from "./texts.js";

/** @typedef {import("./card.js").Asset} Asset */

/** Milliseconds after the last key before a search starts. */
const TYPING = 250;
/** Results of a search; the service gives no more. */
const MOST_FOUND = 100;
const STATES = /** @type {const} */ (["anyState", "readyState", "workingState", "failedState"]);

/** @param {HTMLElement} root */
export function show(root) {
  const gallery = new Gallery(new URLSearchParams(location.search));
  root.replaceChildren(...gallery.build());
  void gallery.load();
}

class Gallery {
  /** @param {URLSearchParams} query of the page: `q`, `state`, and `like`, an asset whose like are searched */
  constructor(query) {
    this._like = query.get("like") ?? "";
    this._cursor = "";
    this._timer = 0;
    /** Counts searches: an answer to an earlier one is not shown. */
    this._search = 0;
    this._cards = el("ul", { class: "cards" });
    this._title = el("h1", {}, text("gallery"));
    this._said = el("p", { class: "quiet" });
    this._words = el("input", { type: "search", name: "q", "aria-label": text("searchWords"), placeholder: text("searchWords") }); // prettier-ignore
    this._state = el("select", { "aria-label": text("state") }, ...STATES.map((name) => el("option", { value: name }, text(name)))); // prettier-ignore
    this._more = el("button", { type: "button", hidden: true, onclick: () => void this.load(true) }, text("more"));
    this._words.value = query.get("q") ?? "";
    this._state.value = STATES.find((name) => name === `${query.get("state")}State`) ?? STATES[0];
  }

  build() {
    if (this._like) void this._nameLike();
    this._words.addEventListener("input", () => {
      this._like = "";
      clearTimeout(this._timer);
      this._timer = setTimeout(() => void this.load(), TYPING);
    });
    this._state.addEventListener("change", () => void this.load());
    const controls = el("form", { class: "actions", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, this._words, this._state, el("a", { href: "/deleted" }, text("recentlyDeleted"))); // prettier-ignore
    return [this._title, controls, this._said, this._cards, this._more];
  }

  async _nameLike() {
    setText(this._title, text("similar"));
    const asset = await api(`/api/assets/${encodeURIComponent(this._like)}`).catch(() => null);
    if (asset && this._like) setText(this._title, text("similarTo", { name: asset.filename }));
  }

  /** @param {boolean} isMore add the next ones to those that are shown */
  async load(isMore = false) {
    const search = (this._search += 1);
    if (!this._like) setText(this._title, text("gallery"));
    history.replaceState(null, "", `?${this._query()}`);
    const found = await api(this._address(isMore)).catch((error) => ({ assets: [], problem: error.kind }));
    if (search !== this._search) return;
    if (!isMore) this._cards.replaceChildren();
    /** @type {Asset[]} */
    const assets = found.assets;
    this._cards.append(...assets.map((asset, index) => card(asset, similarity(found.scores?.[index]))));
    this._cursor = found.nextCursor ?? "";
    this._more.hidden = !this._cursor;
    const said = this._saidOf(found.problem, this._cards.childElementCount);
    setText(this._said, said);
    announce(said);
  }

  /**
   * @param {import("./api.js").ErrorClass | undefined} problem
   * @param {number} count
   */
  _saidOf(problem, count) {
    if (problem === "invalid") return text(this._like ? "assetGone" : "noWords");
    if (problem) return text(problem);
    if (this._isSearch() && count === MOST_FOUND) return text("bestFound", { count });
    if (count) return text(this._cursor ? "firstFound" : "found", { count });
    return text(`${this._query()}` ? "nothingFound" : "nothingYet");
  }

  /** What is searched, as the page's address and the service name it. */
  _query() {
    const words = this._words.value.trim();
    const query = new URLSearchParams();
    if (this._like) query.set("like", this._like);
    else if (words) query.set("q", words);
    if (this._state.value !== "anyState") query.set("state", this._state.value.replace("State", ""));
    return query;
  }

  /** @param {boolean} isMore */
  _address(isMore) {
    const query = this._query();
    if (isMore) query.set("cursor", this._cursor);
    if (this._isSearch()) query.set("limit", String(MOST_FOUND));
    return `/api/${this._isSearch() ? "search" : "assets"}?${query}`;
  }

  _isSearch() {
    return Boolean(this._like || this._words.value.trim());
  }
}

/** @param {number | undefined} score how much a file is like the picture that was searched by, 1: the same */
function similarity(score) {
  const percent = Math.max(0, Math.floor(100 * (score ?? 0)));
  return score !== undefined && el("span", { class: "quiet" }, text("similarity", { percent }));
}
