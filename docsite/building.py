"""Markdown -> HTML: the configuration with its pages filled in, and the builder as a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
#: Below the folder that all is made in.
PAGES, SITE, CONFIGURATION = "pages", "site", "mkdocs.yml"


def write_configuration(folder: Path, made: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Write the configuration for a build in `folder`: that of the repository, with its pages filled in.

    made: for an entry of the navigation that names a folder (`commands/`), the pages there: title and path.
    """
    configuration = yaml.safe_load((ROOT / CONFIGURATION).read_text(encoding="utf-8"))
    configuration |= {"docs_dir": PAGES, "site_dir": SITE, "nav": _filled(configuration["nav"], made)}
    (folder / CONFIGURATION).write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")


def named_pages(nav: Sequence[Any]) -> list[str]:
    """Return the paths that a navigation names, at any depth."""
    paths: list[str] = []
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            paths += named_pages(value) if isinstance(value, list) else [value]
    return paths


def _filled(nav: Sequence[Any], made: Mapping[str, Sequence[tuple[str, str]]]) -> list[Any]:
    filled: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and entry in made:
            filled += [{title: path} for title, path in made[entry]]
        elif isinstance(entry, dict):
            filled.append(
                {name: _filled(value, made) if isinstance(value, list) else value for name, value in entry.items()}
            )
        else:
            filled.append(entry)
    return filled


def build(folder: Path) -> bool:
    """Build the site, where warnings are errors. What the builder says goes to standard error."""
    shutil.rmtree(folder / SITE, ignore_errors=True)
    # From the repository's top: snippets of files are named from there.
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "--config-file",
        str((folder / CONFIGURATION).resolve()),
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        # It ends with a traceback of its own where there are warnings: what counts is above that.
        sys.stderr.write(done.stdout.partition("Traceback")[0])
    return done.returncode == 0
