"""An upload compares the pages that changed with the target, where it held all of the site before; else every page."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.pipeline.snapshot import take_snapshot
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.plan import Plan, Request

SETTINGS = '[project]\nid = "proj_0123456789ab"\nname = "Site"\ncreated = "2026-01-01T00:00:00Z"\n'
A, B, C = "dist/a.html", "dist/b.html", "dist/c.html"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".nimbus/maps").mkdir(parents=True)
    Path(".nimbus/project.toml").write_text(SETTINGS)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Ledger]:
    """Each reading of all that a ledger holds."""
    made: list[Ledger] = []
    rows = Ledger.rows

    def read(ledger: Ledger) -> object:
        made.append(ledger)
        return rows(ledger)

    monkeypatch.setattr(Ledger, "rows", read)
    return made


def write(name: str, path: str, text: str) -> None:
    block = {"id": "block-0", "type": "p", "content": text}
    page = {"path": path, "engine": "html", "main_selector": "main", "head": {"title": name}, "dimensions": {}}
    blocks = {"above_fold_blocks": [block], "rest_of_page_blocks": [], "selector_map": {"block-0": "main > p"}}
    Path(f".nimbus/maps/{name}.json").write_text(json.dumps(page | blocks))


def upload(**options: object) -> Plan:
    pipeline = Pipeline()
    with pipeline.locked("upload", None) as found:
        _, snapshot = pipeline.validate(found, silently)
        done = pipeline.upload(snapshot, Request(**options), Mock())  # type: ignore[arg-type]
        assert done.outcome.stopped == ""
        # Whatever was compared, nothing is left that a look at all pages would find.
        assert pipeline.upload(take_snapshot(pipeline.settings), Request(dry_run=True), Mock()).plan.empty
    return done.plan


def sent(plan: Plan) -> list[str]:
    return [planned.page.source_path for planned in plan.sends]


def test_the_changed_pages_alone_where_the_target_held_the_site(readings: list[Ledger]) -> None:
    for name, path in zip("abc", (A, B, C), strict=True):
        write(name, path, "Old.")
    assert sent(upload()) == [A, B, C]
    write("b", B, "New.")
    write("d", "dist/d.html", "Another one.")
    readings.clear()
    plan = upload()
    assert (sent(plan), plan.unchanged, readings) == ([B, "dist/d.html"], 2, [])
    assert sent(upload(force=True)) == [A, B, C, "dist/d.html"]
    assert readings


def test_every_page_after_a_run_that_did_not_end(readings: list[Ledger]) -> None:
    write("a", A, "Old.")
    write("b", B, "Old.")
    upload()
    ledger = Ledger(Path(LEDGER_FILE), "sqlite")
    ledger.begin(ledger.identity)
    ledger.close()
    write("b", B, "New.")
    readings.clear()
    assert sent(upload()) == [B]
    assert readings


def test_a_page_whose_path_another_map_has_no_longer() -> None:
    write("a", A, "Old.")
    write("b", B, "One.")
    write("c", B, "The other.")
    assert sent(upload()) == [A]
    write("c", C, "The other.")
    assert sent(upload()) == [B, C]


def test_a_page_that_is_gone() -> None:
    for name, path in zip("abc", (A, B, C), strict=True):
        write(name, path, "Old.")
    upload()
    Path(".nimbus/maps/b.json").unlink()
    assert [row.source_path for row in upload().removals] == [B]
