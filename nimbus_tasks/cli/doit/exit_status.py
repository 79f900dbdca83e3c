"""One command from its beginning to its exit status."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from doit.exceptions import TaskError, TaskFailed

from nimbus_tasks.cli.commands.pipeline import NOTHING_DONE, OK
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.cli.console import Console


def run(console: Console, command: Callable[[], int]) -> object:
    """Run a command, and turn its exit status or an error of ours into what doit understands.

    Nothing is printed twice: what went wrong has been told when doit hears of it.
    """
    try:
        status = command()
    except NimbusError as error:
        console.fail(str(error))
        status = error.exit_status
    except KeyboardInterrupt as interrupt:
        console.line()
        console.fail("Interrupted. What was stored is safe; the same command goes on from there.")
        # A command may say by which signal it was ended, else it was Ctrl-C.
        sys.exit(128 + next(iter(interrupt.args), signal.SIGINT))
    if status == OK:
        return None
    kind = TaskError if status == NOTHING_DONE else TaskFailed
    return kind("", report=False)
