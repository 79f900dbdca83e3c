"""Annotations of GitHub Actions: workflow commands, a line each.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nimbus_tasks.cli.ci.problems import Check, Problem

#: GitHub shows so many annotations of a kind for each step.
MOST_ANNOTATIONS = 10
#: Messages that one annotation holds.
MOST_MESSAGES = 5

_TITLES: dict[Check, str] = {
    "invalid-page": "Page is invalid",
    "page-warning": "Page can be better",
    "unreadable-page": "Page cannot be read",
    "failed-upload": "Page was not uploaded",
}


def annotation_commands(
    problems: Iterable[Problem], report: str, room: int = MOST_ANNOTATIONS, folder: str = ""
) -> list[str]:
    """Return a workflow command for each file with problems of one severity.

    Args:
        problems: all of one severity.
        report: the file that lists all of them.
        room: how many annotations of this kind GitHub will still show. Where there are more files than that, the last
            annotation counts the rest.
        folder: the project's, relative to the repository; empty: the same.
    """
    by_file: dict[tuple[str, Check], list[Problem]] = {}
    for problem in problems:
        by_file.setdefault((problem.path, problem.check), []).append(problem)
    groups = list(by_file.values())
    shown = groups if len(groups) <= room else groups[: max(0, room - 1)]
    commands = [_annotation(group, folder) for group in shown]
    left = len(groups) - len(shown)
    if left and room > 0:
        kind = groups[0][0].severity
        commands.append(_command(kind, {"title": f"{left} more"}, f"{left} more: {report} lists all of them."))
    return commands


def _annotation(group: Sequence[Problem], folder: str) -> str:
    first = group[0]
    properties = {"file": f"{folder}/{first.path}" if folder else first.path}
    if first.line:
        properties |= {"line": str(first.line)}
        properties |= {"col": str(first.column)} if first.column else {}
    properties["title"] = _TITLES[first.check]
    messages = [f"{each.place} - {each.message}" if each.place else each.message for each in group[:MOST_MESSAGES]]
    if len(group) > MOST_MESSAGES:
        messages.append(f"… and {len(group) - MOST_MESSAGES} more")
    return _command(first.severity, properties, "\n".join(messages))


def _command(kind: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {told}::{_text(message)}"


def _text(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")
