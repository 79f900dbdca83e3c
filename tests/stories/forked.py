"""An upload in a process of its own, which ends by itself, hangs, or is killed at a chosen moment.

The process is a fork of one that has imported everything, so a run takes milliseconds.
"""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

from waiting import SECONDS

from nimbus_tasks.backends import kv
from nimbus_tasks.backends.kv import cloudflare
from nimbus_tasks.cli.commands.pipeline import Commands
from nimbus_tasks.cli.console import Console
from nimbus_tasks.model import errors
from nimbus_tasks.publishing import plan as request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fault_table import Fault

#: No run may take longer: one that does hangs.
#: The exit status of a run that ended as none may.
TRACEBACK = 70


class Ended(NamedTuple):
    """How a run ended: its exit status, -9 where it was killed."""

    status: int
    seconds: float


def run(folder: Path, name: str, environment: Mapping[str, str], fault: Fault, disk: int, kill: float = 0.0) -> Ended:
    """Upload in a process of its own, killed after so many seconds (0: not at all)."""
    heard, held = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        _upload(folder, name, environment, fault, disk)
    os.close(held)
    try:
        # The other end closes with the process, however that ends.
        if not select.select([heard], [], [], kill or SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(heard)
        _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started)


def _upload(folder: Path, name: str, environment: Mapping[str, str], fault: Fault, disk: int) -> None:
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
        # Small enough that a handful of pages takes several requests. (A Worker says its limits itself.)
        cloudflare.CloudflareStore.limits = kv.Limits(pairs=fault.pairs, bytes=1 << 20, keys=4)
        if disk:
            resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
        status = perform(Commands(Console()))
    except BaseException:  # whatever it is, this must not go on as a second harness
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def perform(commands: Commands) -> int:
    """Validate and upload, and return the exit status. Extraction is killed elsewhere (`test_kill.py`)."""
    try:
        return commands.check() or commands.upload(request.Request())
    except errors.NimbusError as error:
        commands.console.fail(str(error))
        return error.exit_status
