"""Pages made to take long take no longer than large ones: a quarter of each here, the whole in `make soak`."""

from __future__ import annotations

import time

import pytest
from apply_kit import blocks_of, change

from nimbus_tasks.html.apply import apply_changes
from nimbus_tasks.html.extract import Rules, Skipped, extract


@pytest.mark.no_cover  # what it measures is our time, not that of a tracer
@pytest.mark.parametrize("part", [4, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("begin", "unit", "count", "end"),
    [
        ("<div>a" * 250, "<b>a", 20_000, ""),
        ("", "<p>a</p>", 20_000, ""),
        ("<p>", "<b>a</b> ", 20_000, ""),
        ("<p>", "&amp; ", 100_000, ""),
        ("<p>", "a<br>", 20_000, ""),
        ("<p>a", "<!--", 100_000, ""),
        ("<p>a", "</", 100_000, ""),
        ("<p>a ", "< ", 100_000, ""),
        ("<p>a", "<b ", 100_000, ""),
        ("<p>a", "<title>", 50_000, ""),
        ("<p>a<script>", "<!--<script>", 50_000, ""),
        ("<p>a", "<svg><![CDATA[x]]></svg>", 10_000, ""),
        ("<p>a", "<table>b", 250, ""),
        ("<p>a", "<img>", 10_000, ""),
        ("<pre>", " ", 500_000, "a"),
        ("<p>a", "&", 200_000, ""),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else str(value),
)
def test_hostile_pages(begin: str, unit: str, count: int, end: str, part: int) -> None:
    html = f"{begin}{unit * (count // part)}{end}"
    page = extract("a", html.encode(), Rules())
    if isinstance(page, Skipped):
        pytest.fail(f"the page is to be read, but {page.reason}")
    blocks = blocks_of(page)
    some = range(0, len(blocks), 1 + len(blocks) // 50)
    begun = time.process_time()
    done = apply_changes(html.encode(), page, [change(page, n, f"{blocks[n].content} b") for n in some])
    assert time.process_time() - begun < 10 / part
    assert len(done.applied) + len(done.refused) == len(some)
