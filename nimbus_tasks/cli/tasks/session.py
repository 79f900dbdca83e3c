"""What all tasks of a process share: one console, one pipeline, and how a command becomes a task."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.commands.pipeline import Commands
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.doit import make_task, run
from nimbus_tasks.cli.doit.task import OptionDict
from nimbus_tasks.project.heal import StateWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doit.task import Task

console = Console()
commands = Commands(console)
pipeline = commands.pipeline
_show_other_warning = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show a warning of damaged state as one line, and others as Python does."""
    if issubclass(category, StateWarning):
        Console(sys.stderr).warn(str(message))
    else:
        _show_other_warning(message, category, *where, **more)


# To standard error: the first of them come before doit has read the options of a task.
warnings.showwarning = _show_warning
warnings.simplefilter("once", StateWarning)


def option(name: str, default: str | int | bool, text: str) -> OptionDict:
    """Return an option of a task, as doit wants it."""
    return OptionDict(name=name, long=name.replace("_", "-"), type=type(default), default=default, help=text)


def optional(name: str, text: str) -> dict[str, Any]:
    """Return an option that is None if it is not given, to tell that from an empty value, such as an unset variable."""
    found = option(name, "", text)
    found["default"] = None  # `|` would make a plain dict of it
    return found


#: The options of every command.
OUTPUT = (
    option("json", False, "print one JSON document on standard output"),
    option("quiet", False, "print only problems that change the exit status, no warnings"),
    option("verbose", False, "print a line for each page and each warning"),
)


def command(name: str, text: str, call: Callable[..., int], params: Sequence[dict[str, Any]] = (), **more: Any) -> Task:
    """Return a task for a command, with `--json`, `--quiet` and `--verbose`.

    `call` gets its own options by name, and `as_json`; it returns the exit status. `more` is for doit: dependencies...
    """

    def action(json: bool, quiet: bool, verbose: bool, **options: Any) -> object:
        console.obey(json=json, quiet=quiet, verbose=verbose)
        return run(console, lambda: call(**options, as_json=json))

    return make_task(name, text, action, params=[*params, *OUTPUT], **more)
