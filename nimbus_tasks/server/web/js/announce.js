/** Tells screen readers what changes, at most every few seconds. */

import { el } from "./dom.js";

const EVERY = 5000;

const region = el("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
document.body.append(region);
let waiting = "";
let timer = 0;

/** @param {string} message replaces one that was not yet announced */
export function announce(message) {
  if (message === region.textContent) return;
  waiting = message;
  timer ||= setTimeout(
    () => {
      timer = 0;
      region.textContent = waiting;
    },
    region.textContent ? EVERY : 0,
  );
}
