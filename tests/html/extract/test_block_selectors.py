"""Each block's selector finds its element alone, and is made in linear time."""

from __future__ import annotations

import pytest
from extract_kit import skipped
from hypothesis import example, given
from hypothesis import strategies as st
from turbohtml import parse

from nimbus_tasks.html.extract import selectors

TREES = st.recursive(
    st.sampled_from(
        ["a", "<p>b", "<br>", "<p id=one>c", "<x-Ö.y>d</x-Ö.y>", "<img alt=e>", "<p id=ONE>f", "<p id='a b'>g"]
    ),
    lambda inner: st.builds(
        "<{0} id='{1}'>{2}</{0}>".format,
        st.sampled_from(["div", "ul", "li", "section", "b"]),
        st.sampled_from(["", "one", "two", "a.b", "5"]),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=25,
)


@given(TREES, st.sampled_from(["<!doctype html>", ""]))
@example("<p id=one>c<p id=ONE>f", "")
@example("<p id=one>c<p id=ONE>f", "<!doctype html>")
def test_selectors_of_pages_with_many_elements_are_the_same(body: str, doctype: str) -> None:
    main = parse(f"{doctype}<body>{body}".encode(), scripting=True).find("body")
    elements = [main, *main.select("*")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selectors, "FEW", 0)
        patch.setattr(selectors, "MANY", 0)
        patch.setattr(selectors, "TOO_MANY", 0)
        assert selectors.selectors_of(main, elements) == [each.css_path() for each in elements]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<div>" * 400 + "a", "nested more than 300 deep"),
        ("<div>" * 280 + "<p>a" * 40_000, "their selectors take more than 25 MiB"),
    ],
)
@pytest.mark.parametrize("many", [0, selectors.TOO_MANY])
def test_a_page_whose_selectors_are_too_long_is_skipped(
    body: str, reason: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "TOO_MANY", many)
    assert reason in skipped(body)
