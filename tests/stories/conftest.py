"""The fixtures of the stories: a project in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kit import Site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A project with three pages that nobody has published yet."""
    return Site.with_pages(tmp_path, "a", "b", "c")


@pytest.fixture
def published(site: Site) -> Site:
    """The same project, published."""
    site.publish()
    return site


@pytest.fixture
def empty(tmp_path: Path) -> Site:
    """A folder with a dodo.py and nothing else: no project yet."""
    return Site.without_project(tmp_path)
