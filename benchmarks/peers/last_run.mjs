/**
 * What gulp takes to see that nothing changed: `src` with `since: lastRun`, which is known only within one process.
 *
 *   node last_run.mjs        prints the seconds of such a run, Node's start and the first run not among them
 */

import { Writable } from "node:stream";
import gulp from "gulp";

let passed = 0;

function publish() {
  return gulp.src("dist/**/*.html", { since: gulp.lastRun(publish) ?? new Date() }).pipe(
    new Writable({
      objectMode: true,
      write: (_file, _encoding, done) => {
        passed += 1;
        done();
      },
    }),
  );
}

let began;
function begin(done) {
  began = process.hrtime.bigint();
  done();
}

gulp.series(
  publish,
  begin,
  publish,
)((error) => {
  if (error || passed) {
    throw error ?? new Error(`${passed} pages passed where none had changed`);
  }
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
});
