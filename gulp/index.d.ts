import type { Duplex } from "node:stream";

import type { Commands as AllCommands, PublishOptions } from "./commands";
import type * as Documents from "./documents";

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
    /** Whether nimbus:upload has the defaults of the classic uploader: limit 100, delay 200 (default: false). */
    classicDefaults?: boolean | undefined;
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

  /** A task for gulp.series. It resolves to the document of `--json`, and rejects with a NimbusError. */
  export type Task<Result = unknown> = () => Promise<Result>;

  /** Returns a task; passed to Gulp directly, it is one. */
  export interface Command<Options, Result = unknown> {
    (options?: Options): Task<Result>;
    (done: (error?: Error | null) => void): Promise<Result>;
  }

  export interface UploadResult {
    /** The newest batch of this run; missing if no page was sent. */
    batchId?: string | undefined;
    /** The whole site, with a result for each page. */
    summary: Documents.Summary;
  }

  export interface PlanResult {
    batchId?: undefined;
    /** What an upload would do. */
    summary: Documents.PlanDocument;
  }

  export interface UploadCommand<Options> {
    (options: Options & { dryRun: true }): Task<PlanResult>;
    (options?: Options): Task<UploadResult>;
    (done: (error?: Error | null) => void): Promise<UploadResult>;
  }

  /** An error of one line. */
  export interface NimbusError extends Error {
    readonly plugin: "gulp-nimbus";
    /** The exit status: 1 some pages failed, 2 nothing could be done. */
    readonly status?: number;
    /** The signal that ended the command. */
    readonly signal?: string;
    /** With status 1: the result of the task, as it would have been resolved to. */
    readonly result?: unknown;
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
