"""The fixtures of the Gulp plugin's tests: the package as npm packs it, and projects that use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

from deadlines import SECONDS
from gulp_project import NODE_MODULES, PLUGIN, GulpSite

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of gulp-nimbus as `npm install` would have it: what is in the tarball, and nothing else."""
    if not NODE_MODULES.is_dir():
        pytest.skip("Gulp is not installed: make tests/gulp/node_modules")
    folder = tmp_path_factory.mktemp("packed")
    command = ["npm", "pack", str(PLUGIN), "--pack-destination", str(folder), "--loglevel=error"]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    (tarball,) = folder.glob("gulp-nimbus-*.tgz")
    subprocess.run(["tar", "-xzf", tarball.name], check=True, cwd=folder, timeout=SECONDS)
    return folder / "package"


@pytest.fixture
def with_gulp(tmp_path: Path, packed: Path) -> Callable[..., GulpSite]:
    """Make a project with a gulpfile of these exports, on Gulp 4 or 5."""

    def make(gulpfile: str = "", *pages: str, version: int = 5) -> GulpSite:
        return GulpSite.new_gulp(tmp_path / "site", packed, version, gulpfile, *pages)

    return make
