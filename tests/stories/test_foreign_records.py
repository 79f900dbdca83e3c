"""What other programs write into the records stops no command, costs no page of ours, and is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from edge.workerd import needs_workerd
from foreign import EXTRA, FOREIGN_PAGE, KINDS
from kit import PROJECT, Site, page_id
from remote import Gateway, made
from soak import run_trials

PROGRAM = Path(__file__).parent / "foreign.py"
#: Commands whose only work is with the queue, or with the batch that they name: they may refuse a record that cannot be
#: read. (That a batch has ended, and so cannot be cancelled, is no fault of a record.)
ABOUT = {
    "queue": ("nimbus:process", "nimbus:batch:retry"),
    "batch": ("nimbus:batch:status", "nimbus:batch:report", "nimbus:batch:retry", "nimbus:batch:cancel"),
}


def check(trial: dict[str, Any]) -> None:
    kind, key, name = trial["kind"], trial["key"], trial["name"]
    for run in trial["runs"]:
        about = f"{key} {name}: {run['command']} ended with {run['status']}: {run['said']}"
        assert "Traceback" not in run["said"], about
        if run["status"] == 1:
            assert key in run["said"] or "another program" in run["said"], about
        elif run["status"] and f"Batch {trial['batch']} is " not in run["said"]:
            assert run["status"] == 2, about
            assert key in run["said"] or "another program" in run["said"], about
            assert run["command"].startswith(ABOUT.get(kind, ())), about
    assert trial["stored"] == 6, f"{key} {name}"
    left_queue = name.startswith("/items") and FOREIGN_PAGE not in trial["after"]  # processed
    if name.endswith(" extra") and not left_queue:
        assert json.loads("{" + EXTRA + "}")["x-extra"] in _extras(json.loads(trial["after"])), f"{key} {name}"
    # (An empty object is an empty queue, log or project; an upload replaces the page and its status.)
    if name.startswith("whole") and kind not in ("page", "status") and trial["before"] != "{}":
        assert trial["after"] == trial["before"], f"{key} {name} was changed"


def _extras(value: Any) -> list[Any]:
    """Return what is kept under `x-extra` anywhere in a record."""
    if isinstance(value, list):
        return [extra for each in value for extra in _extras(each)]
    if not isinstance(value, dict):
        return []
    own = [value["x-extra"]] if "x-extra" in value else []
    return own + [extra for each in value.values() for extra in _extras(each)]


def test_records_of_other_programs_stop_no_command(tmp_path: Path) -> None:
    trials = run_trials(PROGRAM, "sqlite", tmp_path, 100, *KINDS)
    assert {trial["kind"] for trial in trials} == set(KINDS)
    for trial in trials:
        check(trial)


@needs_workerd
def test_records_of_other_programs_stop_no_command_through_the_gateway(tmp_path: Path) -> None:
    for trial in run_trials(PROGRAM, "gateway", tmp_path, 100, "foreign-batch"):
        check(trial)


@pytest.mark.soak
@pytest.mark.parametrize("place", ["sqlite", pytest.param("gateway", marks=needs_workerd)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_of_every_record_stops_no_command(tmp_path: Path, place: str, kind: str) -> None:
    for trial in run_trials(PROGRAM, place, tmp_path, 1, kind, seconds=3000):
        check(trial)


def test_records_that_cannot_be_read_are_repaired_on_demand(published: Site) -> None:
    (batch,) = published.store.batches
    key, before = f"batch:{PROJECT}:{batch}", published.store.batches[batch]
    published.change_store("UPDATE kv SET value = 'not JSON' WHERE key = ?", key)
    run = published.doit("nimbus:batch:list")
    assert (run.status, run.out.count(key)) == (1, 1), run.said
    assert "Run: doit nimbus:reconcile --repair --dry-run" in run.out
    assert key in published.doit("nimbus:doctor").out
    run = published.doit("nimbus:reconcile", "--repair", "--dry-run")
    assert f"{key} cannot be read: not JSON" in run.out
    assert "--repair would rebuild it." in run.out
    run = published.doit("nimbus:reconcile", "--repair")
    assert (run.status, "It was rebuilt." in run.out) == (0, True), run.said
    (kept,) = published.folder.glob(".nimbus/repair/*/*")
    assert kept.read_text() == "not JSON"
    assert published.store.batches[batch]["pages"] == before["pages"]
    assert published.doit("nimbus:batch:list").status == 0


@needs_workerd
def test_records_of_each_kind_are_repaired_through_the_gateway(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path / "site", "a", "b", settings="[upload]\naudit_log = true\n")
    for target in made("gateway", tmp_path / "server"):
        assert isinstance(target, Gateway)
        assert site.doit("upload", **target.environment).status == 0
        page = page_id("dist/a.html")
        (batch,) = target.holds().batches
        # But not the project's record: the Worker learns from it whose the others are, and lets nobody in without it.
        keys = [f"queue:{PROJECT}", f"batch:{PROJECT}:{batch}"]
        keys += [f"{kind}:{PROJECT}:{page}" for kind in ("status", "logs")]
        with target.workerd.client() as admin:
            for key in keys:
                admin.put(f"/kv/{quote(key, safe='')}", json={"value": "[]"}).raise_for_status()
            run = site.doit("nimbus:reconcile", "--repair", "--json", **target.environment)
        assert run.status == 0, run.said
        remedies = {each["key"]: each["remedy"] for each in run.json["repairs"]}
        assert remedies == dict.fromkeys(keys, "rebuilt")
        assert site.doit("upload", **target.environment).status == 0
        store = target.holds()
        assert store.active == {"dist/a.html", "dist/b.html"}
        assert sorted(store.queue) == ["dist/a.html", "dist/b.html"]
