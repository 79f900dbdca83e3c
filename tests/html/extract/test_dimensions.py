"""Free facts: the page's own word beats a selector, that a path, that a constant."""

from __future__ import annotations

import re

import pytest
from extract_kit import read
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.extract import Rules, RulesError, check_rules, extract
from nimbus_tasks.html.rules import compile_pattern


def from_path(path: str, *patterns: str) -> object:
    return extract(path, b"<p>a", Rules(patterns=patterns)).dimensions


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/rolex-repair.html", "a/{brand}-{service}.html", {"brand": "rolex", "service": "repair"}),
        ("a/rolex-watch-repair.html", "a/{brand}-{service}.html", {"brand": "rolex", "service": "watch-repair"}),
        ("a/b/c.html", "a/{x}.html", {}),
        ("a/b/c.html", "{x}/{y}/c.html", {"x": "a", "y": "b"}),
        ("a/-repair.html", "a/{brand}-repair.html", {}),
        ("a/b+(c).html", "a/{x}+(c).html", {"x": "b"}),
        ("x/a/b.html", "a/{x}.html", {}),
        ("a/b\nc.html", "a/{my name}.html", {"my name": "b\nc"}),
    ],
)
def test_a_pattern_reads_the_path(path: str, pattern: str, expected: dict[str, str]) -> None:
    assert from_path(path, pattern) == expected


def test_the_first_pattern_that_fits_wins() -> None:
    assert from_path("a/b.html", "c/{x}.html", "a/{y}.html", "{z}/b.html") == {"y": "b"}


def test_selectors_read_the_page() -> None:
    html = "<meta name=x content=' c '><p class=a>b <i>d</i><p class=a>e<p class=f> <p>g"
    selectors = {"one": ".a", "two": "meta[name=x]", "three": ".f", "four": ".none"}
    assert read(html, selectors=selectors).dimensions == {"one": "b d", "two": "c"}


def test_the_page_wins_over_selectors_paths_and_constants() -> None:
    rules = Rules(
        patterns=("{a}-{b}-{c}-{d}",),
        selectors={"b": "p", "c": "p"},
        constants={"a": "constant", "e": "constant"},
    )
    page = extract("1-2-3-4", b"<meta name='nimbus:c' content=meta><p>text", rules)
    assert page.dimensions == {"a": "1", "b": "text", "c": "meta", "d": "4", "e": "constant"}
    assert page.head == {}


def test_dimensions_can_come_from_hidden_parts() -> None:
    assert read("<p>a<script id=x>b</script>", selectors={"x": "#x"}).dimensions == {"x": "b"}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (Rules(main="p["), "main: 'p[' is not a CSS selector: expected an identifier at position 2"),
        (Rules(ignore=(".a", "..")), "ignore: '..'"),
        (Rules(selectors={"x": ""}), "selectors.x: ''"),
        (Rules(patterns=("a/{b.html",)), "'a/{b.html' has an unmatched brace"),
        (Rules(patterns=("a/{}.html",)), "'a/{}.html' has empty braces"),
        (Rules(patterns=("{a}/{a}",)), "'{a}/{a}' has the same name twice"),
        (Rules(patterns=("a.html",)), "'a.html' has no name in braces"),
        (Rules(fold=-1), "fold is -1"),
    ],
)
def test_invalid_rules_are_named(rules: Rules, named: str) -> None:
    with pytest.raises(RulesError) as error:
        check_rules(rules)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_good_rules_pass() -> None:
    check_rules(Rules())
    check_rules(Rules(main="main, #x", ignore=(".a > b",), patterns=("{a}/b",), selectors={"c": "d"}))


@given(
    st.lists(st.text(alphabet="ab-/", min_size=1, max_size=2), min_size=1, max_size=4),
    st.text(alphabet="ab-/", max_size=12),
)
def test_a_pattern_matches_as_a_lazy_expression_does(literals: list[str], path: str) -> None:
    pattern = "".join(f"{literal}{{n{place}}}" for place, literal in enumerate(literals))
    expected = re.fullmatch("".join(f"{re.escape(literal)}([^/]+?)" for literal in literals), path)
    found = compile_pattern(pattern).match(path)
    assert (found and tuple(found.values())) == (expected and expected.groups())
