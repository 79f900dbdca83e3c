"""Pages as generators wrote them: changes are made, nothing beside them is, and made again they find themselves made.

`make sites` fetches the pages. A sample is taken here, and all of them in `make soak`.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from apply_kit import Change, blocks_of, contents
from outside import bytes_changed_outside
from random_changes import BOLD_KINDS, KINDS, random_changes, some_blocks

from nimbus_tasks.html.apply import apply_changes
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.model.page_map import PageMap

pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).parents[3]
SITES = Path(os.environ.get("NIMBUS_REAL_SITES") or ROOT / ".cache" / "sites")
SAMPLE = 30
TURNS = 40
#: What is refused at most: words that are all of an inline element's are not replaced without being asked.
LEAST_APPLIED = 0.98


def check(path: Path, kinds: tuple[str, ...], most_blocks: int) -> tuple[int, int]:
    """Check one page; return how many changes were asked for and how many were made."""
    html = path.read_bytes()
    before = extract(path.name, html, Rules())
    if isinstance(before, Skipped):
        return 0, 0
    random = Random(path.name)
    asked = list(random_changes(random, before, some_blocks(random, before, most_blocks), kinds))
    done = apply_changes(html, before, asked)
    after = extract(path.name, done.html, Rules())
    assert isinstance(after, PageMap)
    refused = dict(done.refused)
    assert {change.id for change in asked} == {*done.applied, *done.already, *refused}

    wanted = {change.id: change for change in asked if change.id not in refused}
    assert len(after.selector_map) == len(before.selector_map)
    for was, now in zip(blocks_of(before), blocks_of(after), strict=True):
        change = wanted.get(was.id)
        new = was.content if change is None else change.optimized_content
        assert now.content == (new if was.type == "pre" else collapse(new)), (path, was.id)
        assert (now.id, now.type) == (was.id, was.type)
    assert after.selector_map == before.selector_map
    assert after.head == before.head | {
        fact: change.optimized_content for fact, change in wanted.items() if fact not in before.selector_map
    }

    again = apply_changes(done.html, before, asked)
    assert (again.html, again.applied, dict(again.refused)) == (done.html, (), refused)
    # The head has its own test below: here, only texts change.
    texts = [change for change in asked if change.id in before.selector_map]
    of_texts = apply_changes(html, before, texts)
    selectors = [before.selector_map[block_id] for block_id in of_texts.applied]
    assert bytes_changed_outside(html, of_texts.html, selectors) == 0, path
    return len(asked), len(done.applied) + len(done.already)


@pytest.fixture(scope="module")
def all_pages() -> list[Path]:
    found = [path for path in sorted(SITES.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    if not found:
        pytest.skip(f"no real sites in {SITES}: `make sites` fetches them")
    return found


def test_the_example_site_takes_every_change() -> None:
    pages = sorted((ROOT / "examples" / "site").rglob("*.html"))
    assert pages
    for path in pages:
        for kind in KINDS:
            asked, made = check(path, (kind,), most_blocks=10)
            assert made == asked, (path, kind)


def test_a_sample_of_real_pages_takes_changes(all_pages: list[Path]) -> None:
    small = [path for path in all_pages if path.stat().st_size < 100_000]
    counts = [check(path, KINDS, most_blocks=8) for path in small[:: max(1, len(small) // SAMPLE)]]
    assert sum(made for _, made in counts) >= LEAST_APPLIED * sum(asked for asked, _ in counts)


def test_changes_that_take_words_of_markup_away_harm_nothing(all_pages: list[Path]) -> None:
    small = [path for path in all_pages if path.stat().st_size < 50_000]
    counts = [check(path, BOLD_KINDS, most_blocks=8) for path in small[:: max(1, len(small) // SAMPLE)]]
    assert sum(made for _, made in counts) > 0


def test_a_description_is_all_that_is_added(all_pages: list[Path]) -> None:
    for path in all_pages[:: len(all_pages) // SAMPLE]:
        html = path.read_bytes()
        page = extract(path.name, html, Rules())
        if isinstance(page, Skipped) or "metaDescription" in page.head or "title" not in page.head:
            continue
        done = apply_changes(html, page, [Change("metaDescription", "", "New & “good”")])
        start = next(n for n, (old, new) in enumerate(zip(html, done.html, strict=False)) if old != new)
        length = len(done.html) - len(html)
        assert done.html[start + length :] == html[start:]
        assert b"description" in done.html[start - 10 : start + length]
        assert contents(done.html) == contents(html)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("turn", range(TURNS))
def test_every_real_page_takes_changes(all_pages: list[Path], turn: int) -> None:
    counts = [check(path, KINDS, most_blocks=40) for path in all_pages[turn::TURNS]]
    assert sum(made for _, made in counts) >= LEAST_APPLIED * sum(asked for asked, _ in counts)
    for path in all_pages[turn::TURNS]:
        check(path, BOLD_KINDS, most_blocks=10)
