"""A page for each command, made from its task: summary, help text, examples, options, JSON documents."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any, NamedTuple

from docsite.markdown import code, table
from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.schemas import documents_of

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGES = ("extract", "validate", "assets", "upload", "summarize", "watch")
#: Every command takes these. The page about all commands explains them.
_COMMON = ("json", "quiet", "verbose")


class Command(NamedTuple):
    """A command as its task defines it. `text` is what `doit help` prints above the options."""

    name: str
    text: str
    options: list[dict[str, Any]]

    @property
    def path(self) -> str:
        return f"commands/{self.name.replace(':', '-')}.md"

    @property
    def summary(self) -> str:
        return self.text.partition("\n")[0]

    def page(self) -> str:
        """Return the command's page."""
        return "\n\n".join(self._parts()) + "\n"

    def _parts(self) -> Iterator[str]:
        text, _, examples = self.text.partition("Examples:")
        yield f"# doit {self.name}"
        # The help is plain text: no character in it is markup.
        yield re.sub(r"([*_<>\[\]])", r"\\\1", text.replace("\n", ".\n", 1)).strip()
        if examples:
            yield f"## Examples\n\n```text\n{dedent(examples).strip()}\n```"
        yield "## Options\n\n" + table(["option", "default", "description"], map(_row, self.options))
        if documents := documents_of(self.name):
            links = [f"[{each.name}](../documents.md#{each.name}): {each.title}" for each in documents]
            yield "## JSON\n\n`--json` prints:\n\n" + "\n".join(f"- {link}" for link in links)


def all_commands() -> list[Command]:
    """Return every command: the stages in their order, then the others by name."""
    stages = [getattr(tasks, f"task_{name}")() for name in STAGES]
    others = sorted(tasks.task_nimbus(), key=lambda task: task.name)
    return [Command(task.name, str(task.doc).strip(), list(task.params)) for task in (*stages, *others)]


def index() -> str:
    """Return a table of all commands."""
    rows = [
        (
            f"[`doit {command.name}`]({command.path})",
            command.summary,
            ", ".join(code(f"--{option['long']}") for option in command.options if option["name"] not in _COMMON),
        )
        for command in all_commands()
    ]
    return table(["command", "description", "options"], rows)


def _row(option: dict[str, Any]) -> tuple[str, str, str]:
    value = {bool: "", str: "=TEXT", int: "=N"}[option["type"]]
    # A placeholder such as -1 is not shown: the help says what it stands for.
    in_help = option["type"] is bool or "(default:" in option["help"]
    default = "" if in_help else code(str(option["default"]))
    choices = ", ".join(code(name) for name, _ in option.get("choices", ()))
    return code(f"--{option['long']}{value}"), default, f"{option['help']}{f': {choices}' if choices else ''}"
