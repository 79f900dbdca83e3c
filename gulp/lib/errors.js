/** Errors of one line, which Gulp prints without a stack; and the nearest name for one that does not exist. */

"use strict";

class NimbusError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, signal?: string }} [how] the exit status of the command, or the signal that ended it
   */
  constructor(message, how = {}) {
    super(message);
    this.name = "NimbusError";
    this.plugin = "gulp-nimbus";
    this.showStack = false; // Gulp looks for this, as in plugin-error
    /** @type {number | undefined} */ this.status = undefined;
    /** @type {string | undefined} */ this.signal = undefined;
    /** @type {any} */ this.result;
    Object.assign(this, how);
  }

  toString() {
    return `gulp-nimbus: ${this.message}`;
  }
}

/**
 * @param {string} name
 * @param {string[]} known
 * @returns {string} the known name that takes the fewest edits, "" if none is near
 */
function nearest(name, known) {
  const far = Math.max(2, Math.floor(name.length / 3)) + 1;
  const [best] = known.map((each) => ({ each, far: edits(name, each) })).sort((one, other) => one.far - other.far);
  return best && best.far < far ? best.each : "";
}

/**
 * Count the letters to insert, remove, replace or swap with the next (optimal string alignment).
 * @param {string} from
 * @param {string} to
 */
function edits(from, to) {
  const table = Array.from({ length: from.length + 1 }, (_, row) => [row]);
  table[0] = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    for (let column = 1; column <= to.length; column += 1) {
      const other = from[row - 1] === to[column - 1] ? 0 : 1;
      const least = [table[row - 1][column] + 1, table[row][column - 1] + 1, table[row - 1][column - 1] + other];
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        least.push(table[row - 2][column - 2] + 1);
      }
      table[row][column] = Math.min(...least);
    }
  }
  return table[from.length][to.length];
}

module.exports = { NimbusError, nearest };
