"""Each check is on its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.checks import examine
from nimbus_tasks.cli.doctor.findings import Finding, ok, problem
from nimbus_tasks.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
