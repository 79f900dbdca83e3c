/** Elements, made in one expression. Texts are always text: nothing here parses HTML. */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | ((event: any) => void)>} attributes a function is a listener: `onclick`
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/**
 * A table whose rows are cards on narrow screens, where each cell says the name of its column.
 * @param {string[]} names of the columns; one more, without a name, has the buttons
 * @param {Child[][]} rows cells; a cell with several nodes is a fragment or an element
 */
export function table(names, rows) {
  const head = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)), el("td", {}));
  const body = rows.map((cells) =>
    el("tr", {}, ...cells.map((cell, index) => el("td", { "data-name": names[index] ?? "" }, cell))),
  );
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

/**
 * @param {...Child} children
 * @returns {DocumentFragment} several nodes as one
 */
export function all(...children) {
  const fragment = document.createDocumentFragment();
  for (const child of children) if (child) fragment.append(child);
  return fragment;
}

/**
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function find(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`no ${selector}`);
  return found;
}

/**
 * @param {Element} element
 * @param {string} value is set only where it differs: screen readers repeat what is set
 */
export function setText(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
