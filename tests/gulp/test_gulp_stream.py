"""gulp.src("dist/**/*.html").pipe(nimbus()): pages are published as they pass."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from gulp_project import GULP
from kit import DODO, html

if TYPE_CHECKING:
    from collections.abc import Callable

    from gulp_project import GulpSite

    Make = Callable[..., GulpSite]

EVERY_VERSION = pytest.mark.parametrize("version", [4, 5])

PUBLISH = """
exports.default = () => gulp.src("dist/**/*.html").pipe(nimbus()).pipe(tell()).pipe(gulp.dest("out"));
"""


@EVERY_VERSION
def test_files_pass_with_what_became_of_them_and_only_what_changed_is_sent(with_gulp: Make, version: int) -> None:
    site = with_gulp(PUBLISH, "a", "b", version=version)
    site.write("dist/hidden.html", html(head='<meta name="robots" content="noindex">'))
    first = site.gulp()
    assert first.status == 0, first.said
    skipped = "skipped: robots are asked not to index it (noindex)"
    assert site.told(first) == {"a.html": "stored: new", "b.html": "stored: new", "hidden.html": skipped}
    assert sorted(site.store.queue) == ["dist/a.html", "dist/b.html"]
    assert (site / "out/b.html").read_bytes() == (site / "dist/b.html").read_bytes()
    site.page("b", "Edited.")
    second = site.gulp()
    assert site.told(second) == {"a.html": "unchanged: unchanged", "b.html": "stored: changed", "hidden.html": skipped}
    assert "Edited." in site.store.text("dist/b.html")


def test_doit_goes_on_where_a_stream_ended(with_gulp: Make) -> None:
    site = with_gulp(PUBLISH, "a", "b", "c")
    site.write("dodo.py", DODO)
    site.publish()
    site.page("a", "Edited.")
    site.remove("dist/c.html")
    assert site.gulp().status == 0
    # A page that did not pass is not gone.
    assert site.store.active == {"dist/a.html", "dist/b.html", "dist/c.html"}
    maps, before = site.maps(), site.store
    run = site.doit("upload")
    assert "1 removed" in run.out
    assert site.sent() == {"dist/c.html": "removed"}
    assert site.store.page("dist/a.html") == before.page("dist/a.html")
    assert site.maps() == {path: time for path, time in maps.items() if "c.html" not in path}


@EVERY_VERSION
def test_what_is_in_memory_is_published_whether_buffer_or_stream(with_gulp: Make, version: int) -> None:
    gulpfile = """
    const edit = (text) => String(text).replace("All about", "More about");
    exports.buffers = () => gulp.src("dist/*.html")
      .pipe(each((file) => { file.contents = Buffer.from(edit(file.contents)); }))
      .pipe(nimbus()).pipe(tell()).pipe(gulp.dest("out"));
    exports.streams = () => gulp.src("dist/*.html", { buffer: false })
      .pipe(nimbus()).pipe(tell()).pipe(gulp.dest("streamed"));
    exports.unread = () => gulp.src("dist/*.html", { read: false }).pipe(nimbus()).pipe(tell());
    """
    site = with_gulp(gulpfile, "a", "b", version=version)
    assert site.gulp("buffers").status == 0
    assert site.store.text("dist/a.html") == "Page a More about a. A watch"
    # What is on the disk is another text, and `doit extract` reads it: it is not taken for extracted.
    assert site.told(site.gulp("streams")) == {"a.html": "stored: changed", "b.html": "stored: changed"}
    assert site.store.text("dist/a.html") == "Page a All about a. A watch"
    assert (site / "streamed/a.html").read_bytes() == (site / "dist/a.html").read_bytes()
    assert site.told(site.gulp("unread")) == {"a.html": "untouched", "b.html": "untouched"}


@EVERY_VERSION
def test_a_page_that_is_invalid_passes_too_and_fails_the_task_at_its_end(with_gulp: Make, version: int) -> None:
    gulpfile = f"""{PUBLISH}
    exports.lenient = () => gulp.src("dist/**/*.html").pipe(nimbus({{ failAfterError: false }})).pipe(tell());
    """
    site = with_gulp(gulpfile, "a", "c", version=version)
    site.write("dist/b.html", "<p>This page has no title")
    run = site.gulp()
    assert run.status == 1
    why = "head.title is missing: add a <title> to dist/b.html"
    assert site.told(run) == {"a.html": "stored: new", "b.html": f"invalid: {why}", "c.html": "stored: new"}
    assert f"gulp-nimbus: 1 of 3 pages failed: b.html - {why}" in run.said
    assert "did not complete" not in run.said
    assert {file.name for file in (site / "out").iterdir()} == {"a.html", "b.html", "c.html"}
    assert site.store.active == {"dist/a.html", "dist/c.html"}
    assert site.gulp("lenient").status == 0


@EVERY_VERSION
def test_files_that_are_still_being_written_are_whole_when_the_task_fails(with_gulp: Make, version: int) -> None:
    # One thread works for the file system, and it is busy: so it is on a slow machine.
    gulpfile = """
    const busy = () => require("node:crypto").pbkdf2("a", "b", 100000, 64, "sha512", () => {});
    exports.default = () => gulp.src("dist/*.html").pipe(nimbus()).pipe(each(busy)).pipe(gulp.dest("out"));
    """
    site = with_gulp(gulpfile, "b", "c", version=version)
    site.write("dist/a.html", "<p>This page has no title")
    run = site.gulp(UV_THREADPOOL_SIZE="1")
    assert run.status == 1
    assert "1 of 3 pages failed" in run.said
    for name in "abc":
        assert (site / f"out/{name}.html").read_bytes() == (site / f"dist/{name}.html").read_bytes()


@EVERY_VERSION
def test_gulp_ends_when_a_step_before_fails(with_gulp: Make, version: int) -> None:
    gulpfile = """
    const step = (file, _encoding, done) => file.relative === "b.html" ? done("stop") : done(null, file);
    exports.default = () => gulp.src("dist/*.html")
      .pipe(new Transform({ objectMode: true, transform: step }))
      .pipe(nimbus()).pipe(tell());
    """
    run = with_gulp(gulpfile, "a", "b", version=version).command([*GULP, "--silent"])
    assert run.status == 1
    assert "FILE b.html" not in run.out


def test_a_target_that_cannot_be_used_fails_the_task(with_gulp: Make) -> None:
    site = with_gulp(PUBLISH, "a")
    run = site.gulp(NIMBUS_TARGET="gateway", NIMBUS_WORKER_URL="http://127.0.0.1:1")
    assert run.status == 1
    assert "gulp-nimbus: nimbus:stream: nothing could be done (exit status 2)" in run.said


def test_source_paths_are_those_of_the_project_whatever_a_file_was_called(with_gulp: Make) -> None:
    gulpfile = """
    exports.renamed = () => gulp.src("dist/deep/*.html")
      .pipe(each((file) => { file.basename = `new-${file.basename}`; }))
      .pipe(gulp.dest("dist/moved")).pipe(nimbus()).pipe(tell());
    exports.going = () => gulp.src("src/**/*.html").pipe(nimbus({ folder: "dist" })).pipe(tell());
    exports.outside = () => gulp.src("../elsewhere/*.html").pipe(nimbus()).pipe(tell());
    exports.wrong = () => gulp.src("dist/**/*.html").pipe(nimbus({ floder: "dist" }));
    """
    site = with_gulp(gulpfile, "deep/a")
    site.write("src/blog/ä b.html", html())
    site.write("../elsewhere/x.html", html())
    assert site.gulp("renamed").status == 0
    assert site.gulp("going").status == 0
    assert site.store.active == {"dist/moved/new-a.html", "dist/blog/ä b.html"}
    outside = site.gulp("outside")
    assert outside.status == 1
    assert f"{site.folder.parent}/elsewhere/x.html is outside the project {site.folder}." in outside.said
    assert "nimbus() has no option floder. Did you mean folder?" in site.gulp("wrong").said


def test_a_slow_reader_holds_the_stream_up_and_few_files_are_kept(with_gulp: Make) -> None:
    gulpfile = """
    let under_way = 0, most = 0;
    exports.default = () => gulp.src("dist/*.html")
      .pipe(each(() => { most = Math.max(most, (under_way += 1)); }))
      .pipe(nimbus({ quiet: true }))
      .pipe(new Transform({ objectMode: true, highWaterMark: 1, transform(file, _, done) {
        under_way -= 1;
        setImmediate(done);
      } }))
      .on("finish", () => console.log("MOST", most, under_way)).resume();
    """
    pages = 1500
    site = with_gulp(gulpfile)
    for number in range(pages):
        site.page(f"p{number}")
    run = site.gulp()
    assert run.status == 0, run.said
    most, left = (int(word) for word in run.out.split("MOST ")[1].split()[:2])
    assert left == 0
    # A group, what is read ahead, and what lies in pipes.
    assert most < 900
    assert len(site.store.active) == pages


def test_a_stream_that_does_not_end_is_answered_and_ends_with_ctrl_c(with_gulp: Make) -> None:
    gulpfile = """
    exports.default = () => {
      const open = each(() => {});
      setInterval(() => {}, 1000); // as a watcher would keep Gulp running
      gulp.src("dist/*.html").on("data", (file) => open.write(file));
      return open.pipe(nimbus()).pipe(tell());
    };
    """
    site = with_gulp(gulpfile, "a")
    with site.start_gulp() as running:
        running.until("FILE a.html stored: new")
        running.process.send_signal(signal.SIGINT)
        running.until("Interrupted.")
        assert running.end() == -signal.SIGINT


def test_gulp_watch_publishes_what_is_saved(with_gulp: Make) -> None:
    gulpfile = """
    const publish = () => gulp.src("dist/**/*.html", { since: gulp.lastRun("publish") }).pipe(nimbus()).pipe(tell());
    gulp.task("publish", publish);
    exports.default = gulp.series("publish", () => {
      gulp.watch("dist/**/*.html", { delay: 10 }, gulp.task("publish")).on("ready", () => console.log("READY"));
    });
    """
    site = with_gulp(gulpfile, "a", "b")
    with site.start_gulp() as running:
        running.until("READY")
        site.page("b", "Saved.")
        assert running.until("FILE ") == "FILE b.html stored: changed"
        running.process.send_signal(signal.SIGINT)
        running.end()
    assert "Saved." in site.store.text("dist/b.html")
