/** The right name for a wrong one. */

"use strict";

/**
 * @param {string} name
 * @param {string[]} known
 * @returns {string} the known name that takes the fewest changes of a letter; empty where none is near
 */
function nearest(name, known) {
  const far = Math.max(2, Math.floor(name.length / 3)) + 1;
  const [best] = known.map((each) => ({ each, far: changes(name, each) })).sort((one, other) => one.far - other.far);
  return best && best.far < far ? best.each : "";
}

/** The least number of letters to insert, remove, replace or swap with the next (optimal string alignment). */
function changes(from, to) {
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

module.exports = { nearest };
