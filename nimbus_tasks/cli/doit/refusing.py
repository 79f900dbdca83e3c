"""The end of a process whose command line is wrong: one line, before any task has run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import Console

if TYPE_CHECKING:
    from nimbus_tasks.model.errors import NimbusError


def refuse(error: NimbusError | None) -> None:
    """End the process with an error on standard error, if there is one. (Raised, doit would end it with status 3.)"""
    if error is not None:
        Console(sys.stderr).fail(str(error))
        sys.exit(error.exit_status)
