"""Patterns of the settings mean what they mean in a .gitignore, and are compared in bounded time."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from nimbus_tasks.project.patterns import matcher


@pytest.mark.parametrize(
    ("include", "exclude", "path", "wanted"),
    [
        (("**/*.html",), (), "a.html", True),
        (("**/*.html",), (), "deep/a.html", True),
        (("**/*.html",), (), "a.htm", False),
        (("**/*.html", "**/*.htm"), (), "a.htm", True),
        (("**/*.html",), ("drafts/",), "drafts/a.html", False),
        (("**/*.html",), ("drafts/",), "deep/drafts/a.html", False),
        (("**/*.html",), ("/drafts/",), "deep/drafts/a.html", True),
        (("**/*.html",), ("*", "!a.html"), "a.html", True),
        (("local/*.html",), (), "local/a.html", True),
        (("local/*.html",), (), "other/a.html", False),
        (("**/*.[hx]tml",), (), "a.xtml", True),
        (("a[!x]b",), (), "a-b", True),
        (("a[!x]b",), (), "a/b", False),
        (("a[!]-]b",), (), "a/b", False),
        (("a[!-x]b",), (), "a5b", True),
        (("*[!a]*/a",), (), "b/c/a", False),
        ((), (), "a.html", False),
    ],
)
def test_patterns_mean_what_they_mean_in_a_gitignore(
    include: tuple[str, ...], exclude: tuple[str, ...], path: str, wanted: bool
) -> None:
    assert matcher(include, exclude)(path) is wanted


@given(st.lists(st.sampled_from(["a", "b.html", "c.htm", "html", ".html", "x.html.bak"]), min_size=1, max_size=4))
def test_the_short_cut_for_suffixes_agrees_with_gitignore(parts: list[str]) -> None:
    path = "/".join(parts)
    defaults = ("**/*.html", "**/*.htm")
    short, long = matcher(defaults), matcher((*defaults, "[n]ever"))
    if "/" not in path or not any(part.endswith((".html", ".htm")) for part in parts[:-1]):
        assert short(path) == long(path)


PARTS = st.sampled_from(["a", "b", "*", "**", "/", "?", "[ab]", "[!a]", ".", r"\*", "*a", "**/", "a/"])


class Git(GitIgnoreSpecPattern):
    """pathspec has `[!a]` match a "/", too; Git has not."""

    @classmethod
    def pattern_to_regex(cls, pattern: str) -> tuple[str | None, bool | None]:  # type: ignore[override] # never bytes
        expression, includes = super().pattern_to_regex(pattern)
        return expression and expression.replace("[^a]", "[^a/]"), includes


@example("*[!a]**/a", "b//a")
@given(
    st.lists(PARTS, min_size=1, max_size=9).map("".join),
    st.lists(st.sampled_from("aab*./"), min_size=1, max_size=12).map("".join),
)
def test_no_wildcard_matches_more_or_less_than_in_a_gitignore(pattern: str, path: str) -> None:
    try:
        expected = GitIgnoreSpec.from_lines([pattern, "!never"], Git, backend="simple").match_file(path)
    except ValueError as error:
        with pytest.raises(type(error)):
            matcher([pattern, "!never"])
    else:
        assert matcher([pattern, "!never"])(path) is expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("*a" * 25 + "b", "a" * 250), ("**/a/" * 25 + "x", "a/" * 1000 + "y"), ("*a*?*[ab]*" * 5 + "c", "ab" * 120)],
)
def test_many_wildcards_do_not_try_all_ways_to_match(pattern: str, path: str) -> None:
    assert not matcher([pattern])(path)  # tried one after the other, this would take longer than the sun lasts
