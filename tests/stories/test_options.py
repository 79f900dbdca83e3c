"""What the options of an upload promise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from kit import PROJECT, page_id

if TYPE_CHECKING:
    from pathlib import Path

    from kit import Site

A, B, C, D = (f"dist/{name}.html" for name in "abcd")


def state_of(site: Site) -> dict[Path, bytes]:
    """Everything below .nimbus that an upload writes: the rows of the databases aside, byte for byte."""
    kept = ("reports", "maps")
    return {
        file: file.read_bytes()
        for folder in kept
        for file in (site / ".nimbus" / folder).rglob("*")
        if file.is_file() and file.name != "validation.json"
    }


# --- --dry-run ----------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_send_and_sends_nothing(site: Site) -> None:
    run = site.doit("upload", "--dry-run")
    assert run.status == 0
    assert "new        page_" in run.out
    assert "Dry run: nothing was sent to .nimbus/kv.db" in run.out
    assert site.store.values == {}
    assert not (site / ".nimbus/reports/upload.json").exists()
    assert not (site / ".nimbus/reports/summary.json").exists()


def test_a_dry_run_leaves_a_published_store_as_it_is(published: Site) -> None:
    before, files = published.store, state_of(published)
    published.page("a", "Edited.")
    published.page("d")
    published.remove(C)
    document = published.doit("upload", "--dry-run", "--json").json
    assert document["reasons"] == {"changed": 1, "new": 1, "removed": 1}
    assert published.store == before
    reports = {file: content for file, content in state_of(published).items() if "reports" in file.parts}
    assert reports == {file: content for file, content in files.items() if "reports" in file.parts}
    published.publish()
    assert published.sent() == {A: "changed", D: "new", C: "removed"}


def test_a_dry_run_does_not_change_the_reasons_of_the_run_after_it(published: Site) -> None:
    published.remove_database("kv.db")
    rehearsed = published.doit("upload", "--dry-run", "--json").json
    assert rehearsed["reasons"] == {"missing": 3}
    published.publish()
    assert set(published.sent().values()) == {"missing"}


def test_a_dry_run_of_a_broken_site_ends_as_the_run_would(site: Site) -> None:
    site.write(B, "<html><body><p>No title</p></body></html>")
    assert site.doit("upload", "--dry-run").status == 1


# --- --path -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [("upload",), ("nimbus:process", "--once"), ("nimbus:apply",), ("nimbus:apply", "--assets")],
    ids=" ".join,
)
def test_an_empty_path_does_not_mean_every_page(site: Site, command: tuple[str, ...]) -> None:
    site.publish()
    site.page("a", "Edited.")
    before = site.store
    run = site.doit(*command, "--path=")
    assert (run.status, "--path is empty. Give it a value, or leave it out." in run.said) == (2, True), run.said
    assert site.store == before


# --- --limit, --force, --batch ------------------------------------------------------------------------


def test_a_limit_says_how_many_wait_and_the_next_run_sends_them(site: Site) -> None:
    run = site.publish("--limit=2")
    assert "1 changed page left for later by --limit" in run.out
    assert site.sent() == {A: "new", B: "new"}
    assert site.summary()[C] == "waiting"
    assert site.doit("list", "--status").out.count("R upload ") == 1
    site.publish()
    assert site.sent() == {C: "new"}


def test_force_sends_unchanged_pages_too_and_says_so(published: Site) -> None:
    published.page("a", "Edited.")
    published.publish("--force")
    assert published.sent() == {A: "changed", B: "forced", C: "forced"}
    assert sorted(published.store.queue) == [A, B, C]


@pytest.mark.parametrize("options", [["--force", "--dry-run"], ["--force"]], ids=" ".join)
def test_force_warns_of_proposals_that_it_discards(published: Site, options: list[str]) -> None:
    key = f"status:{PROJECT}:{page_id(A)}"
    result = {"completed": "2026-01-02T03:04:05.678Z", "success": True, "changes": 2, "confidence": 0.9}
    done = published.store.values[key] | {"status": "done", "result": result}
    published.change_store("UPDATE kv SET value = ? WHERE key = ?", json.dumps(done).encode(), key)
    assert "1 page sent again by --force: this discards proposals" in published.publish(*options).out


def test_a_dry_run_lists_every_removal_and_counts_what_it_hides(site: Site) -> None:
    for number in range(80):
        site.page(f"more-{number:02d}")
    site.publish()
    for number in range(30):
        site.remove(f"dist/more-{number:02d}.html")
    for number in range(30, 55):
        site.page(f"more-{number:02d}", "Edited.")
    out = site.publish("--dry-run").out
    assert out.count("   removed ") == 30
    assert "   … and 5 more to send (5 changed): --verbose lists them" in out
    assert site.publish("--dry-run", "--verbose").out.count("   changed ") == 25


@pytest.mark.parametrize("command", ["upload", "nimbus:upload"])
def test_the_help_of_an_option_names_its_default(site: Site, command: str) -> None:
    said = site.doit("help", command).out
    assert "requests at a time (default: from the settings)" in said
    assert "(-1" not in said
    assert "(0:" not in said


def test_a_named_batch_gets_the_new_pages(published: Site) -> None:
    (batch_id,) = published.store.batches
    published.page("d")
    published.publish(f"--batch={batch_id}")
    (batch,) = published.store.batches.values()
    assert batch["page_count"] == len(batch["pages"]) == 4
    assert batch["summary"]["pending"] == 4


def test_an_unknown_batch_names_the_closest_one(published: Site) -> None:
    (batch_id,) = published.store.batches
    published.page("d")
    run = published.doit("upload", f"--batch={batch_id[:-1]}x")
    assert run.status == 2
    assert f"Closest: {batch_id}" in run.said
    assert D not in published.store.pages


def test_the_first_upload_cannot_go_on_with_a_batch(site: Site) -> None:
    run = site.doit("upload", "--batch=batch_20240902_134500")
    assert run.status == 2
    assert "There is no batch batch_20240902_134500. There is none yet: leave out --batch." in run.said


def test_a_completed_batch_takes_no_more_pages(published: Site) -> None:
    (batch_id,) = published.store.batches
    (key,) = (key for key in published.store.values if key.endswith(batch_id))
    completed = published.store.values[key] | {"status": "completed"}
    published.change_store("UPDATE kv SET value = ? WHERE key = ?", json.dumps(completed).encode(), key)
    published.page("d")
    run = published.doit("upload", f"--batch={batch_id}")
    assert run.status == 2
    assert f"Batch {batch_id} is completed and takes no more pages." in run.said


def test_a_large_run_is_split_into_batches(site: Site) -> None:
    site.settings("[upload]\nmax_pages_per_batch = 2")
    site.page("d")
    site.page("e")
    run = site.publish()
    batches = site.store.batches
    assert [batch["page_count"] for batch in batches.values()] == [2, 2, 1]
    assert run.out.count("Using batch") == 3
    assert len({page for batch in batches.values() for page in batch["pages"]}) == 5
    assert site.store.project["usage"]["total_batches"] == 3


# --- options that are none ------------------------------------------------------------------------------

UPLAOD = "There is no task `uplaod`. Did you mean upload?  All tasks: doit list"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("upload --limt=5", "upload has no option --limt. Did you mean --limit?  Its options: doit help upload"),
        ("upload --limit=two --json", "upload --limit: `two` is not a whole number. Such as --limit=5"),
        ("nimbus:batch:status --batch", "nimbus:batch:status --batch needs a value. Such as --batch=..."),
        ("nimbus:batch:status --batch --json", "nimbus:batch:status --batch needs a value. Such as --batch=..."),
        (
            "nimbus:assets:upload --files=dist --metadata unit=celsius",
            "nimbus:assets:upload --metadata needs a value. Join them: --metadata=unit=celsius  "
            "doit takes `unit=celsius` alone for a variable.",
        ),
        ("upload --dry-run=yes", "upload --dry-run takes no value."),
        ("upload limit=5", "upload: `limit=5` is not an option. Did you mean --limit=5?"),
        ("upload now", "There is no task `now`. All tasks: doit list"),
        ("uplaod", UPLAOD),
        *[(f"{ask} uplaod", UPLAOD) for ask in ("help", "info", "list", "clean", "forget", "ignore", "reset-dep")],
        ("help lsit", "There is no task `lsit`. Did you mean list?  All tasks: doit list"),
        (
            "nimbus:batch:stat",
            "There is no task `nimbus:batch:stat`. Did you mean nimbus:batch:status?  All tasks: doit list",
        ),
    ],
)
def test_a_wrong_word_is_one_line_with_the_right_one_before_anything_happens(site: Site, words: str, line: str) -> None:
    run = site.doit(*words.split())
    assert (run.status, run.out, run.err) == (2, "", f"❌ {line}\n")
    assert site.store.values == {}


def test_a_wrong_value_in_the_configuration_of_doit_is_one_line_too(site: Site) -> None:
    site.write("pyproject.toml", '[tool.doit.tasks.upload]\nlimit = "many"\n')
    run = site.doit("upload")
    assert run.status == 2
    assert run.said == (
        "❌ In the configuration of doit: upload --limit: `many` is not a whole number. Such as --limit=5\n"
    )


def test_a_wrong_name_in_the_configuration_of_doit_is_one_line_too(site: Site) -> None:
    site.write("pyproject.toml", "[tool.doit.tasks.upload]\nconcurency = 10\n")
    run = site.doit("upload")
    assert run.status == 2
    assert run.said == (
        "❌ In the configuration of doit: upload has no option `concurency`. Did you mean concurrency?\n"
    )
    site.write("pyproject.toml", "[tool.doit.tasks.upload]\nconcurrency = 10\n")
    site.publish()


def test_a_users_own_tasks_are_answered_by_doit_itself(site: Site) -> None:
    site.write(
        "dodo.py",
        """\
from doit import get_var
from nimbus_tasks import *

def task_build():
    show = lambda fast: print("fast", fast, "limit", get_var("limit"))
    return {"actions": [show], "verbosity": 2, "params": [{"name": "fast", "long": "fast", "type": int, "default": 0}]}
""",
    )
    for words in ("build --fats=1", "build --fast=x", "biuld"):
        run = site.doit(*words.split())
        assert (run.status, run.err.startswith("ERROR: ")) == (3, True)
    assert "fast 3 limit 5" in site.doit("build", "--fast=3", "limit=5").out


def test_two_tasks_at_once_get_their_options(site: Site) -> None:
    assert site.doit("-n", "2", "validate", "upload", "--limit=1").status == 0
    assert len(site.store.pages) == 1


# --- --json -------------------------------------------------------------------------------------------


def test_json_is_one_document_on_standard_output(site: Site) -> None:
    run = site.doit("upload", "--json")
    assert run.json["counts"]["stored"] == 3
    assert {page["path"] for page in run.json["pages"]} == {A, B, C}
    assert "Using batch" in run.err


def test_json_of_an_upload_with_nothing_to_do_is_a_document_too(published: Site) -> None:
    assert published.doit("upload", "--json").json["counts"]["unchanged"] == 3


def test_json_of_a_broken_site_is_a_document_too(site: Site) -> None:
    site.write(B, "<html><body><p>No title</p></body></html>")
    run = site.doit("upload", "--json")
    assert (run.status, run.json["counts"]["invalid"]) == (1, 1)


def test_json_of_validate_is_one_document(site: Site) -> None:
    run = site.doit("validate", "--json")
    assert (run.json["maps"], run.json["valid"]) == (3, 3)
    assert run.json == site.report("validation")


def test_json_of_summarize_is_one_document(site: Site) -> None:
    run = site.doit("summarize", "--json")
    assert run.json == site.report("summary")


def test_json_of_nimbus_upload_is_one_document(site: Site) -> None:
    site.map("x")
    assert site.doit("nimbus:upload", "--json").json["counts"]["stored"] == 1
