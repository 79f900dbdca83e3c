"""What summarize says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.messages import count
from nimbus_tasks.project.settings import SUMMARY_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.publishing.outcome import Summary


def summarized(console: Console, site: Summary, where: str) -> None:
    counts = site.counts
    published = counts.stored + counts.unchanged
    said = [f"{count(published, 'page')} published"]
    said += [f"{number} {word}" for word, number in _others(site)]
    console.line(f"📊 Site: {', '.join(said)}")
    console.line(f"   Store: {where}")
    console.line(f"   Report: {SUMMARY_REPORT}")


def _others(site: Summary) -> list[tuple[str, int]]:
    counts = site.counts
    numbers = [
        ("sent now", counts.stored),
        ("removed", counts.removed),
        ("waiting", counts.waiting),
        ("failed", counts.failed),
        ("invalid", counts.invalid),
        ("skipped", counts.skipped),
    ]
    return [(word, number) for word, number in numbers if number]
