"""All that is looked at: each cause is told once, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.cli.doctor.checks import diagnose
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.cli.doctor.findings import Finding

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
