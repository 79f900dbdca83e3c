"""What a visitor sees first: where the page says, else by an estimate of heights."""

from __future__ import annotations

import pytest
from extract_kit import read

from nimbus_tasks.html.extract.fold import (
    CELLS_IN_ROW,
    GAP,
    IMAGE,
    SITE_HEADER,
    TEXT,
    count_above_fold,
    height,
)
from nimbus_tasks.model.page_map import Block


def above(html: str, **rules: object) -> list[str]:
    return [block.content for block in read(html, **rules).above_fold_blocks]


def test_blocks_that_begin_on_the_first_screen_are_above_the_fold() -> None:
    page = read("<p>a</p>" * 40, fold=SITE_HEADER + 3 * (TEXT[0] + GAP))
    assert [block.id for block in page.above_fold_blocks] == ["block-0", "block-1", "block-2"]
    assert [block.id for block in page.rest_of_page_blocks] == [f"block-{n}" for n in range(3, 40)]


def test_a_short_page_is_all_above_the_fold() -> None:
    assert above("<p>a<p>b") == ["a", "b"]


def test_no_fold_puts_nothing_above() -> None:
    assert above("<p>a<p data-nimbus-fold>b", fold=0) == []


@pytest.mark.parametrize(
    "html",
    [
        "<p>a<p data-nimbus-fold>b",
        "<p>a</p><hr data-nimbus-fold><p>b",
        "<p>a <b data-nimbus-fold>x</b><p>b",
        "<main><p>a</p><div DATA-NIMBUS-FOLD hidden></div><p>b</p></main>",
    ],
)
def test_the_page_can_mark_the_fold(html: str) -> None:
    assert above(html) == ["a x" if "<b " in html else "a"]


def test_a_mark_before_all_content_puts_nothing_above() -> None:
    assert above("<nav data-nimbus-fold>x</nav><p>a") == []


def test_a_mark_after_all_content_puts_everything_above() -> None:
    assert above("<p>a</p><footer data-nimbus-fold>x</footer>", fold=100) == ["a"]


@pytest.mark.parametrize(
    ("kind", "content", "attributes", "expected"),
    [
        ("p", "x" * TEXT[1], {}, TEXT[0] + GAP),
        ("p", "x" * (TEXT[1] + 1), {}, 2 * TEXT[0] + GAP),
        ("h1", "x", {}, 48 + GAP),
        ("pre", "a\nb\nc", {}, 3 * TEXT[0] + GAP),
        ("td", "x", {}, (TEXT[0] + GAP) // CELLS_IN_ROW),
        ("img", "", {"height": "300px"}, 300 + GAP),
        ("img", "", {"height": "100%"}, IMAGE + GAP),
        ("img", "", {"height": "9" * 5000}, IMAGE + GAP),
        ("img", "", {"height": "²"}, IMAGE + GAP),
        ("img", "", {}, IMAGE + GAP),
    ],
)
def test_heights(kind: str, content: str, attributes: dict[str, str], expected: int) -> None:
    assert height(Block("block-0", kind, content, attributes)) == expected


def test_a_page_without_blocks_has_none_above() -> None:
    assert count_above_fold([], 800) == 0
