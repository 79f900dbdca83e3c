"""The checks: each on its own, and each cause reported once with what to do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli.doctor.checks import diagnose, examine
from nimbus_tasks.cli.doctor.findings import Finding, ok, problem
from nimbus_tasks.model.errors import StoreError
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SETTINGS = b'[project]\nid = "proj_0123456789ab"\n'


def problems(root: Path, check: str) -> list[Finding]:
    return [each for each in diagnose(root).checks if (each.check, each.level) == (check, "problem")]


@pytest.mark.parametrize("content", [b"[upload\n", b"\xff", None], ids=["no TOML", "no UTF-8", "a folder"])
def test_settings_that_cannot_be_read_come_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / PROJECT_FILE
    path.parent.mkdir()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    (found,) = problems(tmp_path, "settings")
    assert found.next_step == f"Correct {PROJECT_FILE}, or restore it from version control."


def test_a_damaged_store_is_one_problem_with_one_advice(tmp_path: Path) -> None:
    path = tmp_path / PROJECT_FILE
    path.parent.mkdir()
    path.write_bytes(SETTINGS)
    (path.parent / "kv.db").write_bytes(b"no database" * 500)
    (found,) = problems(tmp_path, "store")
    assert found.next_step == "Move it away and run doit upload: that makes it again from the maps."


def test_a_check_that_hangs_or_breaks_keeps_no_other_from_its_answer() -> None:
    release = threading.Event()

    def hangs() -> Iterator[Finding]:
        release.wait()
        yield ok("hangs", "never said")

    def breaks() -> Iterator[Finding]:
        yield ok("breaks", "so far")
        raise ValueError("secret words")

    def fails() -> Iterator[Finding]:
        raise StoreError("It is away.", "Wait.")

    found = examine({"hangs": hangs, "breaks": breaks, "fails": fails, "well": lambda: [ok("well", "fine")]}, 0.2)
    release.set()
    assert [(each.check, each.level) for each in found] == [
        ("hangs", "warning"),
        ("breaks", "ok"),
        ("breaks", "warning"),
        ("fails", "problem"),
        ("well", "ok"),
    ]
    assert "0.2 s" in found[0].message
    assert "secret" not in str(found)
    assert found[3] == problem("fails", "It is away.", "Wait.")


def test_checks_wait_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=300)

    def meets() -> Iterator[Finding]:
        meeting.wait()
        yield ok("meets", "met")

    assert len(examine({str(number): meets for number in range(3)})) == 3
