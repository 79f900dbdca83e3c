/**
 * From the flat blocks of a page to a tree: what stands in which list, table, quotation or group. The same as
 * `nimbus_tasks/html/render/tree.py`, and held to the same cases: change both.
 */

/** @typedef {import("./page.js").Block} Block */
/** @typedef {import("./page.js").Page} Page */

/**
 * A container of blocks.
 * @typedef {object} Step
 * @property {string} kind `quote`, `ul`, `ol`, `item`, `table`, `row`, `cell`, `dl`, `dd`, `details`, `figure`, or `page`
 * @property {string} key tells it from its neighbours
 * @property {number} number of an item, a row or a column
 * @property {boolean} header of a cell
 * @property {boolean} [checked] of a task
 */

/** @typedef {{block: Block, inner: Map<number, Node>}} Leaf */
/** @typedef {{step: Step, children: (Node | Leaf)[]}} Node */

/** Deeper levels, which other programs may claim, are drawn at this one. */
const DEEPEST = 20;

/** @param {Node | Leaf} child @returns {child is Leaf} */
export const isLeaf = (child) => "block" in child;

/** What stands in a list, a table or a row, which hold no blocks themselves. @param {Node} node @returns {Node[]} */
export const containersIn = (node) => node.children.flatMap((child) => (isLeaf(child) ? [] : [child]));

/** @param {Page} page @returns {Node} */
export const buildTree = (page) => new Builder(page.blocks).tree();

/** @param {string} kind @param {boolean} [checked] @returns {Step} */
const step = (kind, key = "", number = 0, header = false, checked = undefined) => ({
  ...{ kind, key, number, header },
  checked,
});

class Builder {
  /** The open list at each level. @type {{key: string, kind: string, number: number, checked?: boolean}[]} */
  #lists = [];
  #definition = { group: "", key: "" };
  #count = 0;

  /** @param {Block[]} blocks */
  constructor(blocks) {
    this.blocks = blocks;
    this.byId = new Map(blocks.map(({ id }, number) => [id, number]));
    this.kinds = kindsOfGroups(blocks);
    this.inList = always(blocks, ({ group }) => group, ({ list }) => list !== undefined); // prettier-ignore
    this.tablesInList = always(blocks, tableOf, ({ list }) => list !== undefined);
    this.inTable = always(blocks, ({ group }) => group, ({ table }) => table !== undefined); // prettier-ignore
    this.paths = blocks.map((block) => this.#path(block));
  }

  tree() {
    // Only what comes later can stand in a text: so nothing stands in itself.
    /** @type {Map<number, Map<number, number[]>>} */
    const inner = new Map();
    /** @type {Map<number, number>} */
    const levels = new Map();
    this.blocks.forEach((block, number) => {
      for (const { id, at } of block.inner) {
        const other = this.byId.get(id) ?? -1;
        const level = levels.get(number) ?? 0;
        if (other > number && !levels.has(other) && level < DEEPEST) {
          levels.set(other, level + 1);
          const places = inner.get(number) ?? new Map();
          inner.set(number, places);
          const others = places.get(Math.max(0, at)) ?? [];
          places.set(Math.max(0, at), others);
          others.push(other);
        }
      }
    });
    // From the last to the first: what stands in a text is built before it.
    /** @type {Leaf[]} */
    const leaves = new Array(this.blocks.length);
    for (let number = this.blocks.length - 1; number >= 0; number--) {
      const places = [...(inner.get(number) ?? [])].map(([at, others]) => {
        const node = this.#grown(others, leaves, this.paths[number] ?? []);
        return /** @type {[number, Node]} */ ([at, node]);
      });
      leaves[number] = { block: /** @type {Block} */ (this.blocks[number]), inner: new Map(places) };
    }
    return this.#grown([...leaves.keys()].filter((number) => !levels.has(number)), leaves, []); // prettier-ignore
  }

  /**
   * A tree of leaves, without the containers that are `around` all of them already.
   * @param {number[]} numbers
   * @param {Leaf[]} leaves
   * @param {Step[]} around
   */
  #grown(numbers, leaves, around) {
    /** @type {Node} */
    const root = { step: step("page"), children: [] };
    const open = [root];
    for (const number of numbers) {
      const whole = this.paths[number] ?? [];
      const path = whole.slice(common(whole, around));
      const same = common(open.slice(1).map((node) => node.step), path); // prettier-ignore
      open.length = same + 1;
      for (const each of path.slice(same)) {
        /** @type {Node} */
        const node = { step: each, children: [] };
        open.at(-1)?.children.push(node);
        open.push(node);
      }
      open.at(-1)?.children.push(/** @type {Leaf} */ (leaves[number]));
    }
    return root;
  }

  /** The containers of a block, the outermost first. @param {Block} block @returns {Step[]} */
  #path(block) {
    const depth = Math.max(0, Math.min(block.quote, DEEPEST));
    const quotes = Array.from({ length: depth }, (_, level) => step("quote", String(level)));
    const cells = block.table ? cellSteps(block.table) : [];
    let lists = this.#listSteps(block);
    let groups = this.#groupSteps(block);
    if (groups.length && !this.inList.get(block.group)) {
      [lists, groups] = [groups, lists]; // a list in a definition
    }
    if (cells.length && this.tablesInList.get(tableOf(block))) {
      return [...quotes, ...lists, ...groups, ...cells];
    }
    return [...quotes, ...cells, ...lists, ...groups];
  }

  /** @param {Block} block @returns {Step[]} */
  #listSteps(block) {
    const item = block.list;
    if (!item) {
      if (!block.table && !block.group) {
        this.#lists.length = 0;
      }
      return [];
    }
    const level = Math.max(1, Math.min(item.level, DEEPEST));
    this.#lists.length = Math.min(this.#lists.length, level);
    while (this.#lists.length < level) {
      const number = this.#lists.length < level - 1 ? -1 : item.item - 1;
      this.#lists.push({ key: `list-${++this.#count}`, kind: item.kind, number });
    }
    const last = /** @type {{key: string, kind: string, number: number}} */ (this.#lists.at(-1));
    const isNext = block.type === "li" ? item.item > last.number : item.item >= last.number;
    const key = last.kind === item.kind && isNext ? last.key : `list-${++this.#count}`;
    this.#lists[this.#lists.length - 1] = { key, kind: item.kind, number: item.item, checked: item.checked };
    return this.#lists.flatMap((list) => [
      step(list.kind, list.key),
      step("item", `${list.key}-${list.number}`, list.number, false, list.checked),
    ]);
  }

  /** @param {Block} block @returns {Step[]} */
  #groupSteps(block) {
    const kind = this.kinds.get(block.group) ?? "";
    if (!kind) {
      return [];
    }
    if (kind !== "dl") {
      return [step(kind, block.group)];
    }
    if (block.type === "dt") {
      return [step("dl")];
    }
    if (block.type === "dd") {
      this.#definition = { group: block.group, key: `dd-${++this.#count}` };
    } else if (this.#definition.group !== block.group) {
      this.#definition = { group: block.group, key: `dd-${block.group}` };
    }
    return [step("dl"), step("dd", this.#definition.key)];
  }
}

/** @param {Block} block */
const tableOf = (block) => block.table?.id ?? "";

/** @param {NonNullable<Block["table"]>} cell @returns {Step[]} */
function cellSteps({ id, row, column, header = false }) {
  const [at, across] = [Math.max(0, row), Math.max(0, column)];
  return [step("table", id), step("row", String(at), at), step("cell", String(across), across, header)];
}

/** What each group is, by the types of its blocks. @param {Block[]} blocks @returns {Map<string, string>} */
function kindsOfGroups(blocks) {
  const kindOf = new Map([["dt", "dl"], ["dd", "dl"], ["summary", "details"], ["details", "details"], ["figcaption", "figure"]]); // prettier-ignore
  const kinds = new Map();
  for (const { group, type } of blocks) {
    if (group && kindOf.has(type) && !kinds.has(group)) {
      kinds.set(group, kindOf.get(type));
    }
  }
  return kinds;
}

/**
 * For each name, whether all blocks with it hold.
 * @param {Block[]} blocks
 * @param {(block: Block) => string} nameOf
 * @param {(block: Block) => boolean} holds
 * @returns {Map<string, boolean>}
 */
function always(blocks, nameOf, holds) {
  const found = new Map();
  for (const block of blocks) {
    const name = nameOf(block);
    if (name) {
      found.set(name, (found.get(name) ?? true) && holds(block));
    }
  }
  return found;
}

/** How many steps two paths have in common. @param {Step[]} one @param {Step[]} other */
function common(one, other) {
  const end = one.findIndex((mine, at) => {
    const theirs = other[at];
    return !(
      theirs &&
      mine.kind === theirs.kind &&
      mine.key === theirs.key &&
      mine.number === theirs.number &&
      mine.header === theirs.header &&
      mine.checked === theirs.checked
    );
  });
  return end < 0 ? one.length : end;
}
