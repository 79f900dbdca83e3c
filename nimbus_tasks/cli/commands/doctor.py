"""What `doit nimbus:doctor` does and says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.checks import diagnose
from nimbus_tasks.cli.json_output import print_document

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.doctor.findings import Diagnosis, Finding

#: As everywhere: nothing could be done while this lasts.
WELL, ILL = 0, 2
_SIGNS = {"ok": ("✅", ""), "warning": ("⚠️ ", "yellow"), "problem": ("❌", "red")}
_WIDTH = len("credentials")


def doctor(console: Console, *, as_json: bool) -> int:
    """Look at everything, and return 0 unless there is a problem; warnings do not count."""
    found = diagnose(Path())
    if as_json:
        print_document(found)
    else:
        for finding in found.checks:
            _say(console, finding)
        _sum_up(console, found)
    return WELL if found.well else ILL


def _say(console: Console, finding: Finding) -> None:
    sign, style = _SIGNS[finding.level]
    matters = finding.level != "ok"
    console.line(f"{sign} {finding.check:<{_WIDTH}}  {finding.message}", style, matters=matters)
    if finding.next_step:
        console.line(f"   {'':<{_WIDTH}}  → {finding.next_step}", matters=matters)


def _sum_up(console: Console, found: Diagnosis) -> None:
    counted = [(found.problems, "problem"), (found.warnings, "warning")]
    told = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counted if number)
    if found.well:
        console.line(f"📊 All is well for an upload{f' ({told})' if told else ''}")
    else:
        console.line(f"📊 {told}: an upload will not work like this")
