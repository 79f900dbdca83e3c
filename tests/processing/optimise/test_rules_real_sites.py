"""The rules on pages as generators wrote them: idempotent, and their own words; `make sites` fetches the pages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from optimise_kit import applied

from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.processing.optimise import DESCRIPTION, Page
from nimbus_tasks.processing.optimise.rules import improve

SITES = Path(os.environ.get("NIMBUS_REAL_SITES") or Path(__file__).parents[3] / ".cache" / "sites")
SAMPLE = 150
SMALL = 100_000
TURNS = 20


@pytest.fixture(scope="module")
def all_pages() -> list[Path]:
    found = [path for path in sorted(SITES.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    if not found:
        pytest.skip(f"no real sites in {SITES}: `make sites` fetches them")
    return found


def check(path: Path) -> int:
    """Return how many changes the rules propose."""
    extracted = extract(path.name, path.read_bytes(), Rules())
    if isinstance(extracted, Skipped):
        return 0
    blocks = tuple(extracted.above_fold_blocks + extracted.rest_of_page_blocks)
    page = Page("page_0123456789ab", path.name, extracted.head, blocks)
    found = improve(page).changes
    after = applied(page, found)
    assert improve(after).changes == (), path
    said = " ".join(block.content for block in after.blocks)
    for change in found:
        # It stands in the page as it is, or stood in the description before.
        if change.id == DESCRIPTION and not change.content.startswith(change.optimized_content[:30]):
            assert change.optimized_content in said, path
    return len(found)


def test_a_sample_of_real_pages_is_improved_once(all_pages: list[Path]) -> None:
    small = [path for path in all_pages if path.stat().st_size < SMALL]
    assert sum(map(check, small[:: max(1, len(small) // SAMPLE)])) > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("turn", range(TURNS))
def test_every_real_page_is_improved_once(all_pages: list[Path], turn: int) -> None:
    for path in all_pages[turn::TURNS]:
        check(path)
