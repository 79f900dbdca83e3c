/**
 * A list of any length with as many rows in the document as fit on the screen. All rows have the same height. Rows that
 * scroll out are used again for those that scroll in, so scrolling makes no garbage. `--row` of the style sheet is their height.
 */

/** Rows above and below the visible ones, so that a quick scroll shows no gap. */
const SPARE = 6;

/**
 * @template T
 * @typedef {object} RowKind
 * @property {() => HTMLElement} make an empty row
 * @property {(row: HTMLElement, item: T, index: number) => void} show puts an item into a row
 */

/** @template T */
export class VirtualList {
  /**
   * @param {HTMLElement} element scrolls; its role is set here
   * @param {RowKind<T>} kind
   */
  constructor(element, kind) {
    this._element = element;
    this._height = 1;
    this._kind = kind;
    /** @type {readonly T[]} */
    this._items = [];
    /** @type {HTMLElement[]} */
    this._rows = [];
    this._frame = 0;
    this._body = document.createElement("div");
    this._body.className = "virtual-body";
    this._body.setAttribute("role", "list");
    element.classList.add("virtual");
    element.replaceChildren(this._body);
    element.addEventListener("scroll", () => this.refresh(), { passive: true });
    new ResizeObserver(() => {
      this._height = Number.parseFloat(getComputedStyle(element).getPropertyValue("--row"));
      this.refresh();
    }).observe(element);
  }

  /** @param {readonly T[]} items */
  set items(items) {
    this._items = items;
    this.refresh();
  }

  /** @param {string} label for screen readers */
  set label(label) {
    this._body.setAttribute("aria-label", label);
  }

  /** Draw the visible rows before the next frame. */
  refresh() {
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._draw();
    });
  }

  _draw() {
    const { scrollTop, clientHeight } = this._element;
    const content = `${this._items.length * this._height}px`;
    this._body.style.height = content;
    this._element.style.setProperty("--content", content);
    const first = Math.max(0, Math.floor(scrollTop / this._height) - SPARE);
    const last = Math.min(this._items.length, Math.ceil((scrollTop + clientHeight) / this._height) + SPARE);
    while (this._rows.length < last - first) this._rows.push(this._newRow());
    this._rows.forEach((row, position) => {
      const index = first + position;
      const item = this._items[index];
      row.hidden = index >= last || item === undefined;
      if (row.hidden || item === undefined) return;
      row.style.transform = `translateY(${index * this._height}px)`;
      row.setAttribute("aria-setsize", String(this._items.length));
      row.setAttribute("aria-posinset", String(index + 1));
      this._kind.show(row, item, index);
    });
  }

  _newRow() {
    const row = this._kind.make();
    row.setAttribute("role", "listitem");
    this._body.append(row);
    return row;
  }
}
