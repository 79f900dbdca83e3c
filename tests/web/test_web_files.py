"""The pages' files: what a first visit loads, and what comes from others."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nimbus_tasks.server.pages import WEB

NOBLE = Path(__file__).parents[1] / "node/node_modules/@noble/hashes"
VENDORED = WEB / "vendor/noble-hashes"


def test_the_javascript_of_all_pages_is_small() -> None:
    scripts = [gzip.compress(file.read_bytes(), mtime=0) for file in (WEB / "js").rglob("*.js")]
    assert sum(map(len, scripts)) < 60_000


@pytest.mark.skipif(not NOBLE.is_dir(), reason="npm --prefix tests/node ci has not been run")
@pytest.mark.parametrize("file", sorted(VENDORED.iterdir()), ids=lambda file: file.name)
def test_vendored_files_are_those_of_the_package(file: Path) -> None:
    assert file.read_bytes() == (NOBLE / file.name).read_bytes()
