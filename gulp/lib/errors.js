/** What goes wrong, as one line: Gulp prints it without a stack. */

"use strict";

class NimbusError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, signal?: string }} [how] the exit status or the signal that a command ended by
   */
  constructor(message, how = {}) {
    super(message);
    this.name = "NimbusError";
    this.plugin = "gulp-nimbus";
    this.showStack = false; // Gulp looks for this, as plugin-error has it
    Object.assign(this, how);
  }

  toString() {
    return `gulp-nimbus: ${this.message}`;
  }
}

module.exports = { NimbusError };
