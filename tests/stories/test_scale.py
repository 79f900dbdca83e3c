"""The memory of no command grows with the site: docs/scale.md says what a page more may take."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from kit import DODO, SETTINGS, Site, html

if TYPE_CHECKING:
    from pathlib import Path

FEW, MANY = 20_000, 60_000
#: Batches are read fifty at a time: of this size, those of the few pages fill that too.
SMALL_BATCHES = "[upload]\nmax_pages_per_batch = 250\n"
#: Of the peak resident size, where buffers are full already.
MOST_KB_A_PAGE = 0.6
#: In a small process: Linux counts the size of the one that starts a command, too.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
COMMANDS = {
    "extract": ["extract"],
    "upload": ["upload"],
    "nothing changed": ["upload"],
    "list": ["nimbus:batch:list"],
    "reconcile": ["nimbus:reconcile"],
}


def peaks(folder: Path, pages: int) -> dict[str, int]:
    """Return the most kilobytes that each command had, on a site of so many pages in folders of a thousand."""
    site = Site(folder)
    site.write("dodo.py", DODO)
    site.write(".nimbus/project.toml", SETTINGS + SMALL_BATCHES)
    for number in range(pages):
        site.write(f"dist/{number // 1000}/{number}.html", html(title=f"Page {number}"))
    return {what: _peak(site, command) for what, command in COMMANDS.items()}


def _peak(site: Site, command: list[str]) -> int:
    whole = [sys.executable, "-c", MEASURE, sys.executable, "-m", "doit", *command]
    environment = site.environment({})
    done = subprocess.run(whole, cwd=site.folder, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.soak
def test_a_page_more_takes_less_than_a_kilobyte_of_any_command(tmp_path: Path) -> None:
    few, many = peaks(tmp_path / "few", FEW), peaks(tmp_path / "many", MANY)
    growth = {what: (many[what] - few[what]) / (MANY - FEW) for what in COMMANDS}
    assert max(growth.values()) < MOST_KB_A_PAGE, growth
