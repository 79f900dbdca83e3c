"""A run in a process of its own, which ends by itself, hangs, or is ended at a chosen moment.

The process is a fork of one that has imported everything, so a run takes milliseconds.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

from deadlines import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: The exit status of a run that ended as none may.
TRACEBACK = 70


class Ended(NamedTuple):
    """How a run ended: its exit status, -9 where it was killed."""

    status: int
    seconds: float


def run(
    folder: Path,
    name: str,
    environment: Mapping[str, str],
    act: Callable[[], int],
    kill: float = 0.0,
    sign: int = signal.SIGKILL,
) -> Ended:
    """Act in a process of its own, which gets a signal after so many seconds (0: none), and is killed if it hangs."""
    heard, held = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        _be(folder, name, environment, act)
    os.close(held)
    try:
        # The other end closes with the process, however that ends.
        if not select.select([heard], [], [], kill or SECONDS)[0]:
            os.kill(child, sign if kill else signal.SIGKILL)
        if not select.select([heard], [], [], SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(heard)
        _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started)


def _be(folder: Path, name: str, environment: Mapping[str, str], act: Callable[[], int]) -> None:
    """Be the run, and end."""
    status = TRACEBACK
    try:
        os.chdir(folder)
        said = os.open(f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.environ.clear()
        os.environ.update(environment)
        random.seed(f"{folder.name} {name}")
        status = act()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else TRACEBACK
    except BaseException:  # whatever it is, this must not go on as a second harness
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
