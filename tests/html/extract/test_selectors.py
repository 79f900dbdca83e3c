"""Which of the settings' selectors match on a page: one that never does is a mistake in the settings."""

from __future__ import annotations

import pytest

from nimbus_tasks.html.extract import Rules, extract_page

RULES = Rules(
    main="#shop",
    ignore=(".ad", "script.tracker", "[style]"),
    selectors={"brand": ".brand", "price": "meta[name=price]"},
)


def test_the_rules_name_their_selectors() -> None:
    assert RULES.named_selectors() == [
        ("main", "#shop"),
        ("ignore", ".ad"),
        ("ignore", "script.tracker"),
        ("ignore", "[style]"),
        ("selectors.brand", ".brand"),
        ("selectors.price", "meta[name=price]"),
    ]
    assert Rules().named_selectors() == []


@pytest.mark.parametrize(
    ("html", "matched"),
    [
        ("<p>Nothing of it", set()),
        ("<div id=shop>a", {"#shop"}),
        ("<p class=ad>a</p><p>b", {".ad"}),
        ("<body><script class=tracker>x()</script><p>b", {"script.tracker"}),
        ("<p style='color: red'>a", {"[style]"}),
        ("<p class=brand></p>a", {".brand"}),
        ("<meta name=price content=5><p>a", {"meta[name=price]"}),
        ("<main id=shop><p class=ad>a <b class=brand>b</b>", {"#shop", ".ad", ".brand"}),
        ("%PDF", set()),
        ("<meta http-equiv=refresh content='0; url=/x'><p class=ad>moved", {".ad"}),
    ],
)
def test_a_page_tells_which_selectors_match(html: str, matched: set[str]) -> None:
    assert extract_page("p.html", html.encode(), RULES).matched == matched
