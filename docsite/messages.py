"""Every error message that ends a command, from the lines of code that make it.

What is put in when it happens stands as `…`; names of files and variables that never change are spelled out.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from docsite.architecture import summary
from docsite.markdown import code, table
from nimbus_tasks.model import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

_PACKAGE = Path(errors.__file__).parents[1]
#: A program of its own, for tests: nobody meets its messages in a project.
_NOT_MET = ("backends/kv/fake",)
_PUT_IN = "…"
_REFUSAL = "NotCertainError"
#: What makes an issue of a page, and how severe that is.
_ISSUES = {"Finding": "error", "_warning": "warning"}


class Message(NamedTuple):
    text: str
    next_step: str
    exit_status: int


def all_messages() -> dict[str, list[Message]]:
    """Return the messages by the room that they come from."""
    found: dict[str, list[Message]] = {}
    for inside, calls in _calls():
        messages = dict.fromkeys(_messages(calls, inside))
        if messages:
            found.setdefault(inside.parts[0].removesuffix(".py"), []).extend(messages)
    return found


def warnings() -> str:
    """Return what commands warn of."""
    return _texts("warning", lambda called: isinstance(called, ast.Attribute) and called.attr == "warn")


def refusals() -> str:
    """Return why a change of a page's HTML is refused."""
    return _texts("reason", lambda called: isinstance(called, ast.Name) and called.id == _REFUSAL)


def _texts(title: str, is_meant: Callable[[ast.expr], bool]) -> str:
    """Return what the calls say that are meant, each once."""
    texts: dict[str, None] = {}
    for inside, calls in _calls():
        said = [_said(call.args[0], _module(inside)) for call in calls if is_meant(call.func) and call.args]
        texts |= dict.fromkeys(text for text in said if text.strip(f" .{_PUT_IN}"))
    return table([title], [[code(text)] for text in texts])


def sections() -> str:
    """Return a table for each room."""
    parts = []
    for room, messages in all_messages().items():
        rows = [(code(each.text), _linked(each.next_step), str(each.exit_status)) for each in messages]
        parts.append(
            f"## {room}\n\n{summary(f'nimbus_tasks.{room}')}\n\n" + table(["message", "next step", "status"], rows)
        )
    return "\n\n".join(parts)


def issues() -> str:
    """Return what may be wrong with a page's map: an error keeps the page back, a warning does not."""
    found: dict[tuple[str, str], None] = {}
    for inside, calls in _calls():
        for call in calls if inside.as_posix().startswith("html/validate/") else ():
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if name in _ISSUES:
                text = _said(call.args[1], _module(inside))
                if text.strip(f" .:{_PUT_IN}"):
                    found[text, _ISSUES[name]] = None
    return table(["issue", "severity"], [(code(text), severity) for text, severity in found])


@cache
def _calls() -> list[tuple[Path, list[ast.Call]]]:
    """Return each file of the package with the calls in it."""
    found = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        inside = path.relative_to(_PACKAGE)
        if not inside.as_posix().startswith(_NOT_MET):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.append((inside, [node for node in ast.walk(tree) if isinstance(node, ast.Call)]))
    return found


def _messages(calls: list[ast.Call], inside: Path) -> Iterator[Message]:
    for call in calls:
        kind = _kind(call.func, _module(inside))
        if kind is None or not call.args:
            continue
        text, *rest = (_said(argument, _module(inside)) for argument in call.args[:2])
        if text.strip(f" .{_PUT_IN}"):
            yield Message(text, rest[0].strip() if rest else "", kind.exit_status)


def _kind(called: ast.expr, module: ModuleType) -> type[errors.NimbusError] | None:
    """Return which of our errors a call makes; None where it makes something else."""
    name = called.id if isinstance(called, ast.Name) else ""
    kind = getattr(module, name, None) or getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, errors.NimbusError) else None


def _module(inside: Path) -> ModuleType:
    return importlib.import_module(".".join(["nimbus_tasks", *_names(inside)]))


def _names(inside: Path) -> list[str]:
    names = list(inside.with_suffix("").parts)
    return names[:-1] if names[-1] == "__init__" else names


def _said(node: ast.expr, module: ModuleType) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(value := getattr(module, name, None), (str, int)):
            return str(value)
        case ast.JoinedStr(values=values):
            return "".join(_said(value, module) for value in values)
        case ast.FormattedValue(value=value):
            return _said(value, module)
        case _:
            return _PUT_IN


def _linked(next_step: str) -> str:
    """Return a next step as text, nothing where it is made when it happens."""
    return next_step.replace("<", "\\<").replace("[", "\\[") if next_step != _PUT_IN else ""
