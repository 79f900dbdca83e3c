"""What can be completed, as the shells' scripts need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.cli.option_errors import Option

#: doit's own commands that are followed by names of tasks; what else doit can do is rarely typed.
COMMANDS = {
    "list": "list the tasks",
    "help": "what a task does, its options, examples",
    "info": "why a task would run",
    "run": "run tasks (the same as their names alone)",
    "clean": "remove what a task made",
    "forget": "run a task next time, whatever has changed",
    "ignore": "skip a task until it is forgotten",
}
#: Options whose values are files or folders.
PATHS = frozenset({"folder", "source", "output", "code-quality", "junit", "status"})


class Choice(Struct, frozen=True):
    """An option of a task: how it is typed, and what it takes. `help` is a sentence for a person."""

    name: str
    help: str
    takes_value: bool
    choices: tuple[str, ...] = ()

    @property
    def takes_path(self) -> bool:
        return self.takes_value and self.name in PATHS


class Completed(Struct, frozen=True):
    """A task: its name, its line in `doit list`, its options."""

    name: str
    line: str
    options: tuple[Choice, ...]


def completed(name: str, line: str, options: list[Option]) -> Completed:
    choices = [Choice(each.name, each.help, not each.is_flag, each.choices) for each in options]
    return Completed(name, line, tuple(choices))
