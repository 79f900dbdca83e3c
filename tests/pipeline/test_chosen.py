"""Which pages `--path` names."""

from __future__ import annotations

from pathlib import Path

import pytest

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import page_id
from nimbus_tasks.pipeline.chosen import choose, chosen_ids
from nimbus_tasks.project.manifest import PageEntry, Pages

PATHS = ("dist/a.html", "dist/blog/a.html", "dist/blog/b.html", "other/c.html")
IDS = {path: page_id("proj_0123456789ab", path) for path in PATHS}
PAGES = Pages(entries={path: PageEntry((1, 1, 1), path, IDS[path], "", 0) for path in PATHS})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", PATHS),
        ("a.html", PATHS[:2]),
        ("/a.html", PATHS[:1]),
        ("./dist/a.*", PATHS[:1]),
        (IDS[PATHS[0]], PATHS[:1]),
        (str(Path("dist/blog").absolute()), PATHS[1:3]),
        ("dist/blog/", PATHS[1:3]),
        ("blog/", PATHS[1:3]),
        (str(Path("other/c.html").absolute()), PATHS[3:]),
        ("**/[bc].html", PATHS[2:]),
    ],
)
def test_patterns_match_from_the_project_or_the_source_folder_on(pattern: str, expected: tuple[str, ...]) -> None:
    assert tuple(chosen_ids(PAGES, pattern, "dist")) == tuple(IDS[path] for path in expected)


@pytest.mark.parametrize("pattern", ["nowhere/", "!a.html", "#a", "[a", "!"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(SettingsError, match=r"--path=.* (matches none of the 4 pages|is not a pattern)"):
        choose(PAGES, pattern, "dist")


@pytest.mark.parametrize("name", ["dist/blok/b.html", "blog/b", "./blog/bb.html"])
def test_a_misspelt_path_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(SettingsError, match=r"none of the 4 pages\. Nearest: dist/blog/b.html, dist/"):
        choose(PAGES, name, "dist")
