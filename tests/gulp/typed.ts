// What a gulpfile in TypeScript writes: it must pass the compiler, and what is wrong must not.

import gulpNimbus = require("gulp-nimbus");
import { Duplex } from "node:stream";

declare const gulp: { task(name: string, task: (done: () => void) => unknown): void; src(globs: string): Duplex };
type TaskFunction = (done: (error?: Error | null) => void) => void | Promise<unknown> | NodeJS.ReadWriteStream;
declare function series(...tasks: (string | TaskFunction)[]): TaskFunction;

const nimbus = gulpNimbus(gulp, { python: ".venv/bin/python", ownOptions: ["env"], classicDefaults: true });

export const deploy = series(nimbus.extract, nimbus.upload({ limit: 100, dryRun: true }), "nimbus:process");
export const status = nimbus.batch.status({ batch: "batch_20240902_134500" });
export const stream: Duplex = gulp.src("dist/**/*.html").pipe(nimbus({ force: true, failAfterError: false }));

const result: gulpNimbus.PageResult = { status: "stored", reason: "new" };
export const done: Promise<{ page_id: string }> = nimbus.page.status({ path: result.reason })();
export const stored: Promise<number> = nimbus
  .upload({ limit: 1 })()
  .then(({ summary }) => summary.counts.stored);
export const batch: Promise<string | undefined> = nimbus
  .publish()()
  .then(({ batchId }) => batchId);
export const writes: Promise<number> = nimbus
  .upload({ dryRun: true })()
  .then(({ summary }) => summary.cost.writes);

// @ts-expect-error: there is no such option
nimbus.upload({ limt: 1 });
// @ts-expect-error: a number
nimbus.upload({ limit: "all" });
// @ts-expect-error: there is no such command
nimbus.batch.stop();
// @ts-expect-error: there is no such setting
gulpNimbus(gulp, { pyton: "python3" });
