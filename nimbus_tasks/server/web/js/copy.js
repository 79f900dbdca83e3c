/** Buttons that copy a text. */

import { announce } from "./announce.js";
import { el, setText } from "./dom.js";
import { text } from "./texts.js";

/** @param {string} value */
export function copyButton(value) {
  const copy = async () => {
    // Browsers have no clipboard for pages without TLS that come from another machine.
    const said = await navigator.clipboard?.writeText(value).then(
      () => text("copied"),
      () => "",
    );
    announce(said || text("notCopied"));
    setText(button, said ? text("copy") : text("notCopied"));
  };
  const button = el("button", { type: "button", class: "small", onclick: copy }, text("copy"));
  return button;
}
