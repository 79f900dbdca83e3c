"""How many changes real pages take, how fast, and how many bytes beside them change (none).

`python tests/html/apply/measure.py [SITES]` prints the figures of all pages below a folder, for each kind of change.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct, field

sys.path.insert(0, str(Path(__file__).parent))  # for benchmarks too

from outside import bytes_changed_outside
from random_changes import BOLD_KINDS, KINDS, random_changes, some_blocks

from nimbus_tasks.html.apply import apply_changes
from nimbus_tasks.html.extract import Rules, Skipped, extract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apply_kit import Change

    from nimbus_tasks.model.page_map import PageMap

EVERY_BLOCK = 1_000_000


class Asked(Struct, frozen=True):
    """A page, and changes that are asked of its texts."""

    html: bytes
    page: PageMap
    changes: list[Change]


class Figures(Struct):
    """Of one run over many pages. `outside`: bytes outside of the changed blocks that differ."""

    pages: int = 0
    changes: int = 0
    applied: int = 0
    seconds: float = 0.0
    bytes: int = 0
    outside: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def share_applied(self) -> float:
        return self.applied / max(1, self.changes)

    @property
    def share_outside(self) -> float:
        return self.outside / max(1, self.bytes)

    @property
    def pages_a_second(self) -> float:
        return self.pages / max(1e-9, self.seconds)


def measure(paths: Iterable[Path], kinds: tuple[str, ...] = KINDS, most_blocks: int = EVERY_BLOCK) -> Figures:
    """Apply random changes to pages, the same ones each time; the clock runs for `apply_changes` alone."""
    figures = Figures()
    for path in paths:
        asked = ask(path, kinds, most_blocks)
        if asked is None:
            continue
        started = time.perf_counter()
        applied = apply_changes(asked.html, asked.page, asked.changes)
        figures.seconds += time.perf_counter() - started
        figures.pages += 1
        figures.changes += len(asked.changes)
        figures.applied += len(applied.applied) + len(applied.already)
        for _, reason in applied.refused:
            figures.reasons[reason] = figures.reasons.get(reason, 0) + 1
        figures.bytes += len(asked.html)
        selectors = [asked.page.selector_map[block_id] for block_id in applied.applied]
        figures.outside += bytes_changed_outside(asked.html, applied.html, selectors)
    return figures


def ask(path: Path, kinds: tuple[str, ...] = KINDS, most_blocks: int = EVERY_BLOCK) -> Asked | None:
    """Draw changes of a page's texts, the same ones each time; None where the page is skipped."""
    html = path.read_bytes()
    page = extract(path.name, html, Rules())
    if isinstance(page, Skipped):
        return None
    random = Random(path.name)
    changes = random_changes(random, page, some_blocks(random, page, most_blocks), kinds)
    return Asked(html, page, [change for change in changes if change.id in page.selector_map])


def main() -> None:
    sites = Path(sys.argv[1] if len(sys.argv) > 1 else ".cache/sites")
    paths = [path for path in sorted(sites.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    for kind in (*KINDS, *BOLD_KINDS):
        figures = measure(paths, (kind,), most_blocks=20)
        sys.stdout.write(
            f"{kind:9} {figures.pages:,} pages, {figures.changes:,} changes, {figures.share_applied:.2%} applied, "
            f"{figures.pages_a_second:.0f} pages/s, {figures.outside} of {figures.bytes:,} bytes changed outside\n",
        )
        for reason, count in sorted(figures.reasons.items(), key=lambda each: -each[1]):
            sys.stdout.write(f"          {count:6,} {reason}\n")


if __name__ == "__main__":
    main()
