"""A page for each command, from its task: name, help text, options with their defaults, examples, JSON documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from docsite.markdown import block, code, table
from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.schemas import documents_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "commands/"
_EXAMPLES = "Examples:"
#: Asked of every command: said once, on the page of all commands.
_OF_ALL = ("quiet", "verbose")


class Command(NamedTuple):
    """A command as its task has it. `text` is what `doit help` says above the options."""

    name: str
    text: str
    options: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """What it does, in one line."""
        return self.text.partition("\n")[0]

    @property
    def path(self) -> str:
        return f"{FOLDER}{self.name.replace(':', '-')}.md"


def all_commands() -> list[Command]:
    """Return every command that users see: the stages in their order, then the others by name."""
    stages = [getattr(tasks, name)() for name in tasks.__all__ if re.fullmatch(r"task_(?!_|nimbus)\w+", name)]
    order = ["extract", "validate", "upload", "summarize", "watch"]
    stages.sort(key=lambda task: order.index(task.name))
    others = sorted(tasks.task_nimbus(), key=lambda task: task.name)
    return [Command(task.name, str(task.doc).strip(), list(task.params)) for task in (*stages, *others)]


def index() -> str:
    """Return a table of all commands, for the page about them."""
    rows = [
        (f"[`doit {command.name}`]({command.path})", f"{command.title}{_listed(command)}") for command in all_commands()
    ]
    return table(["command", "does"], rows)


def _listed(command: Command) -> str:
    own = [code(f"--{option['long']}") for option in command.options if option["name"] not in (*_OF_ALL, "json")]
    return f"; {', '.join(own)}" if own else ""


def pages() -> Iterator[tuple[Command, str]]:
    """Yield each command with its page."""
    for command in all_commands():
        yield command, "\n\n".join(_parts(command)) + "\n"


def _parts(command: Command) -> Iterator[str]:
    told, _, examples = command.text.partition(_EXAMPLES)
    title, _, rest = told.partition("\n")
    yield f"# doit {command.name}"
    yield f"{title}."
    if rest.strip():
        yield _escaped(rest.strip())
    if examples.strip():
        yield "## Examples\n\n" + block("\n".join(map(_example, examples.strip().splitlines())), "sh")
    yield "## Options\n\n" + table(["option", "default", "says"], [_row(option) for option in command.options])
    documents = documents_of(command.name)
    if documents:
        yield "## With `--json`"
        yield "\n".join(_document(document) for document in documents)


def _example(line: str) -> str:
    """Return an example as a shell reads it: what it is for becomes a comment."""
    return re.sub(r"^(\S.*?)(  +)(?=\S)", r"\1\2# ", line.strip())


def _row(option: dict[str, Any]) -> tuple[str, str, str]:
    is_flag = option["type"] is bool
    form = f"--{option['long']}" + ("" if is_flag else "=TEXT" if option["type"] is str else "=N")
    default = "" if is_flag or option["default"] == "" else code(str(option["default"]))
    choices = ", ".join(code(name) for name, _ in option.get("choices", ()))
    return code(form), default, f"{_escaped(option['help'])}{f': {choices}' if choices else ''}"


def _document(document: Any) -> str:
    lines = ", one on each line" if document.lines else ""
    kept = f"; also in {code(document.file)}" if document.file else ""
    return (
        f"- {document.title}{lines}: [{document.name}](../documents.md#{document.name}), "
        f"[JSON Schema](../schemas/{document.name}.json){kept}"
    )


def _escaped(text: str) -> str:
    """Return a text of help as Markdown: what looks like markup there is none."""
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)
