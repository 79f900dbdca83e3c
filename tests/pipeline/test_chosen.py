"""Which pages `--path` names."""

from __future__ import annotations

import pytest

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.pipeline.chosen import choose, chosen_ids
from nimbus_tasks.project.manifest import PageEntry, Pages

PATHS = ("dist/a.html", "dist/blog/a.html", "dist/blog/b.html", "other/c.html")
PAGES = Pages(entries={path: PageEntry((1, 1, 1), path, f"page_{path}", "", 0) for path in PATHS})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", PATHS),
        ("a.html", PATHS[:2]),
        ("/a.html", PATHS[:1]),
        ("./dist/a.*", PATHS[:1]),
        ("dist/blog/", PATHS[1:3]),
        ("blog/", PATHS[1:3]),
        ("**/[bc].html", PATHS[2:]),
    ],
)
def test_patterns_match_from_the_project_or_the_source_folder_on(pattern: str, expected: tuple[str, ...]) -> None:
    assert tuple(chosen_ids(PAGES, pattern, "dist")) == tuple(f"page_{path}" for path in expected)


@pytest.mark.parametrize("pattern", ["nowhere/", "!a.html", "#a", "[a", "!"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(SettingsError, match=r"--path=.* (matches none of the 4 pages|is not a pattern)"):
        choose(PAGES, pattern, "dist")
