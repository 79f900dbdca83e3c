"""Any bytes get an answer, in a time that grows as they do."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.extract import Rules, Skipped, extract

TAGS = ["p", "div", "li", "ul", "table", "td", "b", "a", "svg", "math", "template", "select", "x-y", "pre", "body"]
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(["<!--", "-->", "<![CDATA[", "<meta charset=", "<p id=a>", "<main>", "\0", "\ufeff", "&#xD800;"]),
    st.text(max_size=5),
)


@given(st.binary(max_size=400))
def test_random_bytes_get_an_answer(html: bytes) -> None:
    msgspec.json.encode(extract("a", html, Rules()))


@given(st.lists(PIECES, max_size=60).map("".join), st.sampled_from(["utf-8", "utf-16", "cp1252", "euc-kr"]))
def test_random_markup_gets_an_answer(html: str, encoding: str) -> None:
    content = html.encode(encoding, "replace")
    first = extract("a", content, Rules())
    assert msgspec.json.encode(first) == msgspec.json.encode(extract("a", content, Rules()))


@pytest.mark.no_cover  # what it measures is our time, not that of a tracer
@pytest.mark.parametrize("part", [4, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("begin", "unit", "count", "end"),
    [
        ("", "<div>", 100_000, "a"),
        ("", "<div>a", 100_000, ""),
        ("", "<b>a", 100_000, ""),
        ("", "<x-a>a", 100_000, ""),
        ("", "<header>", 100_000, "a"),
        ("", "<div hidden>a", 100_000, ""),
        ("", "<svg><g>", 50_000, "a"),
        ("", "<p>a", 50_000, ""),
        ("", "<p id=a>a", 50_000, ""),
        ("", "<p class=content>a", 50_000, ""),
        ("", "<main>", 50_000, "a"),
        ("", "<p style='display:none'>a", 50_000, ""),
        ("", "a <br>", 100_000, ""),
        ("<pre>", " ", 1_000_000, "a"),
        ("<p>", "a \n", 1_000_000, ""),
        ("<p a='", "x;", 1_000_000, "'>a"),
        ("<p style='", "; ", 200_000, "'>a"),
        ("<!--", "-", 100_000, ""),
        ("", "<?xml ", 20_000, ">"),
        ("<!DOCTYPE [", "]", 20_000, ""),
        ("<meta http-equiv=refresh content='", "1 ; ", 50_000, "'>"),
        ("<!DOCTYPE html><p>", "<BODY a1>", 100_000, ""),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else str(value),
)
def test_hostile_pages_take_no_longer_than_large_ones(begin: str, unit: str, count: int, end: str, part: int) -> None:
    begun = time.process_time()
    msgspec.json.encode(extract("a", f"{begin}{unit * (count // part)}{end}".encode(), Rules()))
    assert time.process_time() - begun < 10 / part


def test_pages_nested_deeper_than_readers_agree_on_are_skipped() -> None:
    page = extract("a", b"<div>a" * 1000, Rules())
    assert isinstance(page, Skipped)
    assert "nested more than" in page.reason


def test_a_page_that_would_take_the_parser_minutes_is_skipped() -> None:
    page = extract("a", b"<p>a" + b"<body a1=1>" * 20_000, Rules())
    assert isinstance(page, Skipped)
    assert "<body> tags" in page.reason


@pytest.mark.no_cover
@pytest.mark.parametrize("paragraphs", [9_400, pytest.param(94_000, marks=pytest.mark.soak)])
def test_a_large_page_is_read(paragraphs: int) -> None:
    page = extract("a", (b"<p>" + b"some text in a paragraph, " * 12 + b"</p>\n") * paragraphs, Rules())
    assert len(page.selector_map) == paragraphs
