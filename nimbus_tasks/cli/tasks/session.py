"""What all tasks of a process share: one console, one pipeline, and how a command becomes a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.commands.pipeline import Commands
from nimbus_tasks.cli.console import Console
from nimbus_tasks.cli.doit import make_task, run
from nimbus_tasks.cli.doit.task import OptionDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doit.task import Task

console = Console()
commands = Commands(console)
pipeline = commands.pipeline


def option(name: str, default: str | int | bool, text: str) -> OptionDict:
    """Return an option of a task, as doit wants it."""
    return OptionDict(name=name, long=name.replace("_", "-"), type=type(default), default=default, help=text)


#: The options of every command.
OUTPUT = (
    option("json", False, "print one JSON document on standard output"),
    option("quiet", False, "print problems only"),
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
