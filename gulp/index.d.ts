import type { Duplex } from "node:stream";

import type { Commands as AllCommands, PublishOptions } from "./commands";

export = nimbus;

declare const nimbus: nimbus.Nimbus;

declare namespace nimbus {
  export type Commands = AllCommands;

  /** Settings for all commands. */
  export interface Settings {
    /** The Python with Nimbus Tasks (default: NIMBUS_PYTHON, the project's .venv, python3). */
    python?: string | undefined;
    /** The project's folder (default: Gulp's). */
    cwd?: string | undefined;
    /** Command line options that the gulpfile reads itself. */
    ownOptions?: string[] | undefined;
  }

  export interface StreamOptions extends PublishOptions {
    /** Where the files will be written, from the project's folder (default: where they are now). */
    folder?: string | undefined;
    /** End with an error, after all files have passed, if a page is invalid or failed (default: true). */
    failAfterError?: boolean | undefined;
  }

  /** The result for a page: `file.nimbus` on each file that leaves the stream. */
  export interface PageResult {
    /** Missing if the file is not published. */
    page_id?: string | undefined;
    status: "stored" | "queued" | "unchanged" | "skipped" | "invalid" | "failed" | "waiting";
    /** Why the page was sent, or what is wrong with it. */
    reason: string;
  }

  /** A task for gulp.series. It rejects with a NimbusError. */
  export type Task = () => Promise<void>;

  /** Returns a task; passed to Gulp directly, it is one. */
  export interface Command<Options> {
    (options?: Options): Task;
    (done: (error?: Error | null) => void): Promise<void>;
  }

  /** An error of one line. */
  export interface NimbusError extends Error {
    readonly plugin: "gulp-nimbus";
    /** The exit status: 1 some pages failed, 2 nothing could be done. */
    readonly status?: number;
    /** The signal that ended the command. */
    readonly signal?: string;
  }

  /** The parts of Gulp 4 or 5 that are used. */
  export interface Gulp {
    task(name: string, task: (done: any) => any): any;
    src(...globs: any[]): any;
  }

  export interface Nimbus extends AllCommands {
    /** Register every nimbus: task, and return the functions with these settings. */
    (gulp: Gulp, settings?: Settings): Nimbus;
    /** A stream of Vinyl files that publishes each page that passes. */
    (options?: StreamOptions): Duplex;
  }
}
