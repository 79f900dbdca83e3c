"""What extract says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import complaints, count
from nimbus_tasks.project.settings import SUMMARY_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.pipeline.extract import Extraction
    from nimbus_tasks.project.scan import Odd


def extracted(console: Console, done: Extraction, source: str) -> None:
    if not source:
        console.line("📄 No source folder set: maps come from another tool")
        return
    said = f"📄 Extracted {count(done.read, 'file')} from {source}: {count(len(done.written), 'map')} changed"
    said += f", {len(done.removed)} removed" if done.removed else ""
    console.line(f"{said}, {count(done.pages, 'page')} in all")
    failed = [odd for odd in done.skipped if odd.failed]
    skipped = [odd for odd in done.skipped if not odd.failed]
    _skipped(console, skipped)
    complaints(console, (f"{odd.path} - {odd.reason}" for odd in failed), len(failed))


def _skipped(console: Console, skipped: list[Odd]) -> None:
    if not skipped:
        return
    if len(skipped) <= FEW or console.verbose:
        for odd in skipped:
            console.line(f"   skipped {odd.path} - {odd.reason}", "dim")
        return
    by_reason: dict[str, int] = {}
    for odd in skipped:
        by_reason[odd.reason] = by_reason.get(odd.reason, 0) + 1
    said = ", ".join(f"{number} {reason}" for reason, number in sorted(by_reason.items(), key=lambda r: -r[1])[:5])
    console.line(f"   skipped {len(skipped)}: {said} (each in {SUMMARY_REPORT})", "dim")
