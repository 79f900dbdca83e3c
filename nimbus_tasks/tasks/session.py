"""What all tasks of a process share: one console, one set of commands over one pipeline."""

from __future__ import annotations

from typing import Any

from nimbus_tasks.commands import Commands
from nimbus_tasks.console import Console

console = Console()
commands = Commands(console)
pipeline = commands.pipeline


def option(name: str, default: str | int | bool, text: str) -> dict[str, Any]:
    """Return an option of a task, as doit wants it."""
    return {"name": name, "long": name.replace("_", "-"), "type": type(default), "default": default, "help": text}


JSON = option("json", False, "one JSON document on standard output")
VERBOSE = option("verbose", False, "a line for each page")
