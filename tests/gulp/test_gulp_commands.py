"""Gulp's users type what they always typed, and it runs Nimbus Tasks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from deadlines import SECONDS
from gulp_project import HERE
from kit import html

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gulp_project import GulpSite

    Make = Callable[..., GulpSite]

EVERY_VERSION = pytest.mark.parametrize("version", [4, 5])


@EVERY_VERSION
def test_lines_that_gulp_users_type_work_unchanged(with_gulp: Make, version: int) -> None:
    site = with_gulp(version=version)
    site.settings(folder='""')
    for name in ("one", "two", "three"):
        site.map(name)
    planned = site.gulp("nimbus:upload", "--dry-run", "--limit", "100")
    assert planned.status == 0
    assert "Dry run: nothing was sent" in planned.out
    assert site.store.pages == set()
    assert site.gulp("nimbus:upload", "--folder=.nimbus/maps", "--limit=1").status == 0
    assert len(site.store.pages) == 1
    (batch,) = site.store.batches
    shown = site.gulp("nimbus:batch:status", f"--batch={batch}", "--json")
    assert shown.status == 0
    assert f'"batch_id": "{batch}"' in shown.out
    unknown = site.gulp("nimbus:batch:status", "--batch=batch_20000101_000000")
    assert unknown.status == 1
    assert "gulp-nimbus: nimbus:batch:status: nothing could be done (exit status 2)" in unknown.said


def test_every_task_is_listed_with_its_sentence(with_gulp: Make) -> None:
    listed = with_gulp().gulp("--tasks-json").out
    nodes = json.loads(listed[listed.index("{") :])["nodes"]
    names = {node["label"] for node in nodes}
    assert {"nimbus:upload", "nimbus:batch:monitor", "nimbus:publish", "nimbus:process"} <= names
    assert "nimbus:stream" not in names


def test_functions_make_tasks_for_a_series(with_gulp: Make) -> None:
    gulpfile = """
    exports.deploy = gulp.series(nimbus.extract, nimbus.validate(), nimbus.publish({ limit: 1, quiet: true }));
    exports.checked = () => nimbus.batch.report({ batch: "nonsense" })().catch(({ status, plugin }) => {
      console.log("FAILED", status, plugin);
    });
    """
    site = with_gulp(gulpfile, "a", "b")
    deployed = site.gulp("deploy")
    assert deployed.status == 0, deployed.said
    assert "Finished 'nimbus:publish'" in deployed.out
    assert len(site.store.pages) == 1
    assert "FAILED 2 gulp-nimbus" in site.gulp("checked").out


def test_an_option_that_does_not_exist_is_named_with_the_nearest_one(with_gulp: Make) -> None:
    gulpfile = """
    exports.wrong = nimbus.upload({ dryrun: true });
    exports.misfit = nimbus.upload({ dryRun: "perhaps" });
    exports.more = gulp.series("nimbus:publish");
    const mine = require("gulp-nimbus")(gulp, { ownOptions: ["env"] });
    """
    site = with_gulp(gulpfile, "a")
    typed = site.gulp("nimbus:publish", "--dryrun")
    assert typed.status == 1
    assert "nimbus:publish has no option --dryrun. Did you mean --dry-run?" in typed.said
    assert "nimbus:publish has no option -x. It has --" in site.gulp("nimbus:publish", "-x").said
    # In a gulpfile they are written as JavaScript has them.
    assert "nimbus:upload has no option dryrun. Did you mean dryRun?" in site.gulp("wrong").said
    assert 'nimbus:upload: dryRun must be true or false, not "perhaps"' in site.gulp("misfit").said
    assert '--limit must be a whole number, not "many"' in site.gulp("nimbus:publish", "--limit=many").said
    assert "--batch needs a value" in site.gulp("nimbus:batch:status", "--batch").said
    assert site.store.pages == set()
    # Options of the gulpfile's own tasks are theirs, and those that it names.
    assert site.gulp("more", "--production", "--dryRun").status == 0
    assert site.store.pages == set()
    assert site.gulp("nimbus:publish", "--env=live").status == 0
    assert site.store.pages == {"dist/a.html"}


def test_an_exit_status_is_one_line_in_gulp(with_gulp: Make) -> None:
    site = with_gulp("", "a")
    site.write("dist/b.html", "<p>This page has no title")
    run = site.gulp("nimbus:publish")
    assert run.status == 1
    assert "gulp-nimbus: nimbus:publish: some pages failed or are invalid, the others are safe (exit" in run.said
    assert site.store.pages == {"dist/a.html"}


def test_words_reach_python_as_they_are(with_gulp: Make, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    site = with_gulp()
    run = site.gulp("nimbus:page:status", f"--path=$(touch {trap}); `touch {trap}` 'a b' \"c\"")
    assert run.status == 1
    assert not trap.exists()
    assert "'a b' \"c\"" in run.said


def test_a_task_resolves_to_its_document_and_still_prints_its_lines(with_gulp: Make) -> None:
    gulpfile = """
    const show = (result) => console.log("RESULT", JSON.stringify(result ?? null));
    exports.results = async () => {
      const { batchId, summary } = await nimbus.publish({ limit: 1 })();
      show([batchId, summary.counts.stored]);
      show((await nimbus.upload({ dryRun: true })()).summary.reasons.new);
      show((await nimbus.batch.status({ batch: batchId })()).page_count);
      show((await nimbus.batch.list()()).batches.length);
      show((await nimbus.publish()()).summary.counts.stored);
      show((await nimbus.publish()()).summary.counts.unchanged);
      show((await nimbus.extract()()).pages);
      show((await nimbus.batch.status({ batch: batchId, json: true })()).batch_id === batchId);
    };
    exports.partly = () => nimbus.publish()().catch(({ status, result }) => {
      show([status, result.batchId !== undefined, result.summary.counts.invalid]);
    });
    """
    site = with_gulp(gulpfile, "a", "b")
    run = site.gulp("results")
    assert run.status == 0, run.said
    results = [json.loads(line.removeprefix("RESULT ")) for line in run.out.splitlines() if line.startswith("RESULT ")]
    (first, stored), *others = results
    assert (first in site.store.batches, stored) == (True, 1)
    assert others == [1, 1, 1, 1, 2, 2, True]
    assert "Found 1 file to upload (1 new, 1 unchanged)" in run.out
    site.page("c")
    site.write("dist/d.html", "<p>This page has no title")
    assert "RESULT [1,true,1]" in site.gulp("partly").out


def test_messages_name_commands_of_gulp(with_gulp: Make) -> None:
    site = with_gulp("", "a")
    assert "No batch at .nimbus/kv.db yet: gulp nimbus:publish" in site.gulp("nimbus:batch:list").out
    site.remove(".nimbus/project.toml")
    assert "No project here. Run: gulp nimbus:project:init" in site.gulp("nimbus:upload").said


def test_the_defaults_of_the_classic_uploader_are_there_on_demand(with_gulp: Make) -> None:
    gulpfile = """
    const classic = require("gulp-nimbus")(gulp, { classicDefaults: true });
    exports.unlimited = classic.upload({ limit: 0, delay: 0, dryRun: true });
    exports.classic = classic.upload({ limit: undefined, dryRun: true });
    exports.whole = classic.publish({ dryRun: true });
    """
    site = with_gulp(gulpfile, *(f"p{number}" for number in range(101)))
    assert "101 maps changed" in site.gulp("nimbus:extract").out
    for task in (["nimbus:upload", "--dry-run"], ["classic"]):
        assert "1 changed page left for later by --limit" in site.gulp(*task).out
    assert "Found 7 files" in site.gulp("nimbus:upload", "--limit=7", "--dry-run").out
    for whole in ("unlimited", "whole"):
        assert "Found 101 files to upload (101 new)" in site.gulp(whole).out
    flags = site.gulp("--tasks").out
    assert "(default: 100)" in flags
    assert "(default: 200)" in flags


def test_the_setting_for_classic_defaults_is_checked(with_gulp: Make) -> None:
    gulpfile = """
    exports.wrong = async () => require("gulp-nimbus")(gulp, { classicDefaults: 100 });
    """
    assert "The setting classicDefaults must be true or false." in with_gulp(gulpfile).gulp("wrong").said


# --- which Python ---------------------------------------------------------------------------------------


def test_the_python_is_the_option_then_the_environment_then_the_projects_then_python3(with_gulp: Make) -> None:
    site = with_gulp()
    script = """
    const { findPython } = require("gulp-nimbus/lib/process.js");
    const { mkdirSync, writeFileSync } = require("node:fs");
    const cwd = process.cwd();
    const found = [findPython({ cwd }, {})];
    mkdirSync(".venv/bin", { recursive: true });
    writeFileSync(".venv/bin/python", "");
    found.push(findPython({ cwd }, {}));
    found.push(findPython({ cwd }, { NIMBUS_PYTHON: "/opt/python" }));
    found.push(findPython({ cwd, python: "pypy" }, { NIMBUS_PYTHON: "/opt/python" }));
    console.log(JSON.stringify(found.map(({ command }) => command)));
    """
    in_project = str(site.folder / ".venv/bin/python")
    assert site.command(["node", "-e", script]).json == ["python3", in_project, "/opt/python", "pypy"]


def test_a_python_without_nimbus_tasks_is_told_how_to_install_it(with_gulp: Make) -> None:
    site = with_gulp()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(site / ".venv")], check=True, timeout=SECONDS)
    run = site.gulp("nimbus:upload", NIMBUS_PYTHON="", PYTHONPATH="")
    assert run.status == 1
    said = [line for line in run.said.splitlines() if "Nimbus Tasks" in line]
    assert len(said) == 1
    assert said[0].endswith("Run: .venv/bin/python -m pip install nimbus-tasks")


def test_a_python_that_is_not_there_is_named(with_gulp: Make) -> None:
    run = with_gulp().gulp("nimbus:upload", NIMBUS_PYTHON="/nowhere/python")
    assert run.status == 1
    assert "There is no Python at /nowhere/python (NIMBUS_PYTHON)." in run.said


# --- what is written about it -----------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["docs/gulp.md", "gulp/README.md"])
def test_the_gulpfile_that_is_shown_runs(with_gulp: Make, page: str) -> None:
    text = (HERE.parents[1] / page).read_text(encoding="utf-8")
    (gulpfile,) = re.findall(r"^```js\n(// gulpfile\.js\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    site = with_gulp()
    site.write("gulpfile.js", gulpfile)
    site.write("src/blog/a.html", html())
    published = site.gulp("publish")
    assert published.status == 0, published.said
    assert site.store.active == {"dist/blog/a.html"}
    assert "1 unchanged" in site.gulp("stream").said
