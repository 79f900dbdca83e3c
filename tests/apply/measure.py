"""How many changes real pages take, how fast, and how many bytes beside them change (none).

`python tests/apply/measure.py [SITES]` prints the figures of all pages below a folder, for each kind of change.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct, field
from outside import bytes_changed_outside
from random_changes import BOLD_KINDS, KINDS, random_changes, some_blocks

from nimbus_tasks.apply import apply_changes
from nimbus_tasks.extract import Rules, Skipped, extract

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY_BLOCK = 1_000_000


class Figures(Struct):
    """Of one run over many pages. `outside`: bytes outside of the changed blocks that differ."""

    pages: int = 0
    changes: int = 0
    applied: int = 0
    seconds: float = 0.0
    bytes: int = 0
    outside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

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
        html = path.read_bytes()
        page = extract(path.name, html, Rules())
        if isinstance(page, Skipped):
            continue
        random = Random(path.name)
        changes = list(random_changes(random, page, some_blocks(random, page, most_blocks), kinds))
        texts = [change for change in changes if change.id in page.selector_map]
        started = time.perf_counter()
        applied = apply_changes(html, page, texts)
        figures.seconds += time.perf_counter() - started
        figures.pages += 1
        figures.changes += len(texts)
        figures.applied += len(applied.applied) + len(applied.already)
        figures.reasons.update(reason for _, reason in applied.refused)
        figures.bytes += len(html)
        selectors = [page.selector_map[block_id] for block_id in applied.applied]
        figures.outside += bytes_changed_outside(html, applied.html, selectors)
    return figures


def main() -> None:
    sites = Path(sys.argv[1] if len(sys.argv) > 1 else ".cache/sites")
    paths = [path for path in sorted(sites.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    for kind in (*KINDS, *BOLD_KINDS):
        figures = measure(paths, (kind,), most_blocks=20)
        sys.stdout.write(
            f"{kind:9} {figures.pages:,} pages, {figures.changes:,} changes, {figures.share_applied:.2%} applied, "
            f"{figures.pages_a_second:.0f} pages/s, {figures.outside} of {figures.bytes:,} bytes changed outside\n",
        )
        for reason, count in figures.reasons.most_common():
            sys.stdout.write(f"          {count:6,} {reason}\n")


if __name__ == "__main__":
    main()
