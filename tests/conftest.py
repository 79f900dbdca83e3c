"""Ctrl-C reaches the programs that tests start, temporary folders are in memory, property tests repeat their examples,
pure rooms are measured."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started by nohup or in the background of a script: every program that a test starts would ignore Ctrl-C too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY = Path("/dev/shm")
ROOM = 4 << 30


def has_room(folder: Path) -> bool:
    """Whether there is memory to spare, and a file system in it whose files can be run."""
    if not os.access(folder, os.W_OK):
        return False
    system = os.statvfs(folder)
    spare = re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
    free = min(system.f_bavail * system.f_frsize, int(spare[1]) << 10 if spare else 0)
    return free > ROOM and not system.f_flag & os.ST_NOEXEC


# A commit waits for the disk, some milliseconds each time: longer than all that a command does between its commits.
if "TMPDIR" not in os.environ and has_room(MEMORY):
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None  # pytest has asked for it before

# `make test` repeats few examples, `make soak` explores many new ones.
settings.register_profile("repeat", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("repeat")

HERE = Path(__file__).parent
#: Their tests alone cover the pure rooms (`source` in pyproject.toml). Coverage would slow the others down by half.
MEASURED = {"batches", "cli", "html", "model", "pipeline", "processing", "publishing"}


#: The longest tests begin first: at the end of a run they would keep one core busy, and the others idle.
LONG = ("web/test_web_flows.py", "stories/test_faults_and_kills.py", "stories/test_foreign_records.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))
    for item in items:
        if item.path.relative_to(HERE).parts[0] not in MEASURED:
            item.add_marker("no_cover")
