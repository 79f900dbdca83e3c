"""Texts are found between the tags around them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from turbohtml import Text

import nimbus_tasks
from nimbus_tasks.html.apply.markup import UnsafeChangeError, decode_text
from nimbus_tasks.html.apply.source_map import MOST_MOVED, SourceTree


def texts(page: str) -> list[str]:
    """Return what is written where the body's texts are, `?` for those without a certain place."""
    tree = SourceTree(page)
    found = []
    for node in [node for node in tree.document.descendants if isinstance(node, Text)]:
        try:
            found += [page[places[0] : places[-1]] for _, _, places, _ in tree.written(node)]
        except UnsafeChangeError:
            found.append("?")
    return found


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("a<b>c</b>d", ["a", "c", "d"]),
        ("<p>a < b <3 c", ["a < b <3 c"]),
        ("<p>a</p >b", ["a", "b"]),
        ("<title>a<b>c</title>d", ["a<b>c", "d"]),
        ("<xmp>&amp;</xmp>", ["&amp;"]),
        ("<pre>\n\na &lt; b</pre>", ["\na &lt; b"]),
        ("<p title='>'>a", ["a"]),
        ("<ul><li>a<li>b<p>c</ul>d", ["a", "b", "c", "d"]),
        # Comments and tags of no element.
        ("<p>a<!-- > -->b<!---->c", ["a", "b", "c"]),
        ("<p>a<!doctype x>b<?php c ?>d</>e</ f>g", ["a", "b", "d", "e", "g"]),
        ("<p>a</font>b", ["a", "b"]),
        ("<div>a</p>b</div>", ["a", "b"]),
        ("<p>a<!--b", ["a"]),
        # Moved by the parser: found where nothing else of the page reads like it.
        ("<table>moved<tr><td>b</table>", ["moved", "b"]),
        ("<p>a</p></body></html> after", ["a", " after"]),
        ("<p>A<!-->B", ["A", "B"]),
        ("<p><math><![CDATA[c]]></math>d", ["c", "d"]),
        ("<p>a<table>moved<tr><td>b", ["?", "b"]),
        ("<table>td<tr><td>b</table>", ["?", "b"]),
        ("<table>c &amp; d<tr><td>b</table>", ["?", "b"]),
        ("<p>a<body>b", ["?"]),
        ("<b><p>a</b>b</p>c", ["a", "?", "c"]),
    ],
)
def test_texts(page: str, found: list[str]) -> None:
    assert texts(page) == found


def test_few_texts_are_looked_for_in_all_of_the_page() -> None:
    moved = [f"number {number}." for number in range(MOST_MOVED + 1)]
    page = "".join(f"<table>{text}<tr><td>cell</table>" for text in moved)
    assert [text for text in texts(page) if text != "cell"] == [*moved[:-1], "?"]


TAGS = ["p", "b", "a", "table", "td", "svg", "title", "style", "math", "mi", "select", "template", "pre", "li", "desc"]
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        ["<!--", "-->", "<![CDATA[", "]]>", "</>", "<img a='>'>", "&amp;", "&lt", "&#32;", "&notit;", " ", "\n"]
    ),
    st.text("ab \0&<>;", max_size=4),
)


@example("<style>&amp;")
@given(st.lists(PIECES, max_size=40).map("".join))
def test_texts_are_found_in_the_source_where_they_are_written(page: str) -> None:
    tree = SourceTree(page)
    for node in [node for node in tree.document.descendants if isinstance(node, Text)]:
        try:
            parts = list(tree.written(node))
        except UnsafeChangeError:
            continue
        for start, end, places, raw in parts:
            assert places == sorted(places)
            assert decode_text(page, places[0], places[-1], references=not raw).text == node.data[start:end]


def test_no_pattern_has_a_possessive_group() -> None:
    """Before Python 3.11.5 such a group can end in the middle of a failed repetition; Debian 12 has 3.11.2."""
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>")
    found = [
        str(file)
        for file in Path(nimbus_tasks.__file__).parent.rglob("*.py")
        if possessive.search(file.read_text("utf-8"))
    ]
    assert not found
