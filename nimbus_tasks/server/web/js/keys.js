/** The user's API keys: create one, which is shown once, and revoke them. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { copyButton } from "./copy.js";
import { all, el, setText, table } from "./dom.js";
import { problemText, text, timeText } from "./texts.js";

/**
 * @typedef {object} Key
 * @property {string} name
 * @property {string} hash
 * @property {string} created ISO 8601
 * @property {string | null} lastUsed ISO 8601
 * @property {number} requests
 * @property {boolean} active
 * @property {string} scope `program`: it does not log in; `content`: it only reads pages; "": it may do everything
 * @property {boolean} own whether this session was opened with it
 */

/** Digits of a hash that name a key, as `doit nimbus:key:list` shows them. */
const SHOWN_DIGITS = 8;
const LONGEST_NAME = 64;

/** @param {HTMLElement} root */
export async function show(root) {
  const name = el("input", { name: "name", maxlength: LONGEST_NAME, required: true, autocomplete: "off", "aria-describedby": "key-help" }); // prettier-ignore
  const login = el("input", { type: "checkbox", name: "login" });
  const problem = el("p", { role: "alert" });
  const created = el("div", { class: "note new-key", tabindex: "-1", hidden: true });
  const list = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": text("keys") });

  /**
   * Do something about keys, then show them as they are; say so where it fails.
   * @param {() => Promise<void>} act
   */
  const change = async (act) => {
    setText(problem, "");
    try {
      await act();
      list.replaceChildren(keyTable((await api("/api/keys")).keys, revoke));
    } catch (error) {
      setText(problem, problemText(error));
    }
  };
  const create = () =>
    change(async () => {
      const made = await api("/api/keys", { method: "POST", body: { name: name.value.trim(), login: login.checked } });
      created.replaceChildren(
        el("p", {}, text("keyShownOnce", { name: made.name })),
        el("p", { class: "actions" }, el("code", {}, made.key), copyButton(made.key)),
      );
      created.hidden = false;
      created.focus();
      form.reset();
    });
  const revoke = (/** @type {Key} */ key) => {
    if (!confirm(text(key.own ? "revokeOwnAsk" : "revokeAsk", { name: key.name }))) return;
    void change(async () => {
      await api(`/api/keys/${key.hash}`, { method: "DELETE" });
      if (key.own) {
        location.assign("/login");
        await new Promise(() => {}); // the page is left: what it asked for now would lead to a login as well
      }
      announce(text("keyRevoked", { name: key.name }));
      list.focus();
    });
  };
  const form = el(
    "form",
    { class: "actions" },
    el("label", { class: "actions" }, text("keyName"), name),
    el("label", { class: "choice" }, login, text("mayLogIn")),
    el("button", { class: "primary" }, text("createKey")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void create();
  });
  root.replaceChildren(
    el("h1", {}, text("keys")),
    el("p", { class: "quiet", id: "key-help" }, text("keysHelp")),
    form,
    problem,
    created,
    list,
  );
  await change(async () => {});
}

/**
 * @param {Key[]} keys
 * @param {(key: Key) => void} revoke
 */
function keyTable(keys, revoke) {
  if (!keys.length) return el("p", { class: "quiet" }, text("noKeys"));
  const names = /** @type {const} */ (["keyName", "keyHash", "keyCreated", "lastUsed", "requests", "state"]);
  const rows = keys.map((key) => {
    const named = { type: "button", class: "small", "aria-label": text("revokeNamed", { name: key.name }) };
    const scope = key.scope === "content" ? text("contentKey") : key.scope ? "" : text("logsIn");
    const notes = [key.own && text("ownKey"), scope].filter((note) => note).join(", ");
    return [
      all(
        el("span", { class: "key-name" }, key.name),
        notes && el("br"),
        notes && el("span", { class: "quiet" }, notes),
      ),
      el("code", {}, key.hash.replace("sha256:", "").slice(0, SHOWN_DIGITS)),
      timeText(key.created),
      key.lastUsed ? timeText(key.lastUsed) : text("never"),
      key.requests.toLocaleString("en"),
      text(key.active ? "keyActive" : "keyIsRevoked"),
      key.active && el("button", { ...named, onclick: () => revoke(key) }, text("revoke")),
    ];
  });
  return table(names.map((name) => text(name)), rows); // prettier-ignore
}
