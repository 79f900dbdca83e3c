"""Texts are found between tags as a browser's tokenizer finds them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turbohtml import Text

import nimbus_tasks
from nimbus_tasks.html.apply.markup import UnsafeChangeError, decode_text
from nimbus_tasks.html.apply.source_map import MarkedTree
from nimbus_tasks.html.apply.tokens import find_foreign, find_texts
from nimbus_tasks.html.extract.parse import parse_text


def texts(page: str) -> list[str]:
    return [page[start:end] for start, end, _ in find_texts(page, find_foreign(page))]


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("a<b>c</b>d", ["a", "c", "d"]),
        ("a < b <3 c", ["a < b <3 c"]),
        ("a</>b", ["a", "b"]),
        ("a</", ["a</"]),
        ("a</ b>c", ["a", "c"]),
        ("a<!doctype x>b<?php c ?>d<!x>e", ["a", "b", "d", "e"]),
        ("a<?never closed", ["a"]),
        # Attributes hide what looks like markup.
        ("<p title='>'>a", ["a"]),
        ("<p a=\"<b>\"b='>'c=d>a", ["a"]),
        ("<p a = >b", ["b"]),
        ("<p =x=y>b", ["b"]),
        ("<p / a/b//>c", ["c"]),
        ("<p a='b>c", []),
        ('<p a= "b>c', []),
        ("a<p", ["a"]),
        ("a</p b", ["a"]),
        # Comments end where they end.
        ("a<!-->b", ["a", "b"]),
        ("a<!--->b", ["a", "b"]),
        ("a<!---->b", ["a", "b"]),
        ("a<!-- -- > --!>b", ["a", "b"]),
        ("a<!-- <!-- --> b -->", ["a", " b -->"]),
        ("a<!--b", ["a"]),
        # Raw elements end with their own end tag.
        ("<title>a<b>c</title>d", ["a<b>c", "d"]),
        ("<textarea>a</TEXTAREA\n>b", ["a", "b"]),
        ("<style>a</styles></style>b", ["a</styles>", "b"]),
        ("<style></style>b", ["b"]),
        ("<iframe>a", ["a"]),
        ("<plaintext>a</plaintext>", ["a</plaintext>"]),
        ("<script>a</script>b", ["a", "b"]),
        ("<script><!-- <script> </script> --></script>b", ["<!-- <script> </script> -->", "b"]),
        ("<script><!-- <script> --> </script>b", ["<!-- <script> --> ", "b"]),
        ("<script><!-- </script>b", ["<!-- ", "b"]),
        ("<script><!--> <script></script>b", ["<!--> <script>", "b"]),
        ("<script><script></script>b", ["<script>", "b"]),
        ("<script><!-- <script> </script> a", ["<!-- <script> </script> a"]),
        # In drawings and formulas they are ordinary, and CDATA is text of its own.
        ("<svg><title>a<b>c", ["a", "c"]),
        ("<svg><style>a<g>b</g></style></svg><style>c<d></style>", ["a", "b", "c<d>"]),
        ("<svg><foreignObject><style>a<b></style></foreignObject>", ["a<b>"]),
        ("<svg><desc><b>a</desc><![CDATA[<b>]]>c</svg>", ["a", "c"]),
        ("<svg><![CDATA[<b>", []),
        ("<![CDATA[a>b]]>", ["b]]>"]),
    ],
)
def test_texts(page: str, found: list[str]) -> None:
    assert texts(page) == found


TAGS = ["p", "b", "a", "table", "td", "svg", "title", "style", "math", "mi", "select", "template", "pre", "li", "desc"]
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        ["<!--", "-->", "<![CDATA[", "]]>", "</>", "<img a='>'>", "&amp;", "&lt", "&#32;", "&notit;", " ", "\n"]
    ),
    st.text("ab \0&<>;", max_size=4),
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_texts_are_found_in_the_source_where_they_are_written(page: str) -> None:
    tree = MarkedTree(page)
    for node in [node for node in tree.document.descendants if isinstance(node, Text)]:
        try:
            parts = list(tree.written(node))
        except UnsafeChangeError:
            continue
        for start, end, places, raw in parts:
            assert places == sorted(places)
            assert decode_text(page, places[0], places[-1], references=not raw).text == node.data[start:end]


@given(st.lists(PIECES, max_size=40).map("".join))
def test_numbers_in_the_copy_leave_the_tree_as_it_is(page: str) -> None:
    assert MarkedTree(page).document.html == parse_text(page).html


def test_no_pattern_has_a_possessive_group() -> None:
    """Before Python 3.11.5 such a group can end in the middle of a failed repetition; Debian 12 has 3.11.2."""
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>")
    found = [
        str(file)
        for file in Path(nimbus_tasks.__file__).parent.rglob("*.py")
        if possessive.search(file.read_text("utf-8"))
    ]
    assert not found
