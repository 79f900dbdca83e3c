"""Between doit and us: help texts, up-to-date checks, exit statuses, and a console that both share."""

from __future__ import annotations

import gc
import inspect
import sys
from typing import TYPE_CHECKING, Any

from doit.exceptions import TaskError, TaskFailed
from doit.reporter import ConsoleReporter
from doit.task import dict_to_task

from nimbus_tasks.commands import NOTHING_DONE, OK
from nimbus_tasks.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from doit.task import Task

    from nimbus_tasks.console import Console

#: In the `meta` of our tasks: they speak for themselves.
_OURS = {"nimbus": True}


class HelpText(str):
    """The doc of a task: one line where tasks are listed, all of it in `doit help TASK`.

    doit keeps the first line of a doc only. It prints that with `format` in lists and with `%s` in its help, so
    this is a text of one line with a longer one as its `str()`.
    """

    __slots__ = ("_whole",)
    _whole: str

    def __new__(cls, text: str) -> HelpText:
        whole = inspect.cleandoc(text)
        line = super().__new__(cls, whole.partition("\n")[0])
        line._whole = whole
        return line

    def __str__(self) -> str:
        return f"{self._whole}\n"

    def __format__(self, spec: str) -> str:
        return format(str.__str__(self), spec)


def make_task(name: str, text: str, action: Callable[..., object], **more: Any) -> Task:
    """Return a doit task of ours. `clean` is called with `dry_run`; all else is doit's own."""
    if clean := more.get("clean"):
        more["clean"] = [_clean_action(clean)]
    # Uncaptured, so that a live bar is live and its frames are not kept.
    task = dict_to_task(
        {"name": name, "actions": [action], "meta": _OURS, "io": {"capture": False}, "verbosity": 2, **more}
    )
    task.doc = HelpText(text)
    return task


def _clean_action(clean: Callable[[bool], None]) -> Callable[[bool], None]:
    def action(dryrun: bool) -> None:  # doit passes it by this name
        clean(dryrun)

    return action


def run(console: Console, command: Callable[[], int]) -> object:
    """Run a command, and turn its exit status or an error of ours into what doit understands.

    Nothing is printed twice: what went wrong has been told when doit hears of it.
    """
    try:
        status = command()
    except NimbusError as error:
        console.fail(str(error))
        status = error.exit_status
    except KeyboardInterrupt:
        console.line()
        console.fail("Interrupted. What was stored is safe; the same command goes on from there.")
        sys.exit(130)
    if status == OK:
        return None
    kind = TaskError if status == NOTHING_DONE else TaskFailed
    return kind("", report=False)


class UpToDate:
    """Whether a stage has nothing to do, in a form that `doit info` can print."""

    def __init__(self, verdict: Callable[[], bool], words: Callable[[], str]) -> None:
        self._verdict = verdict
        self._words = words

    def __call__(self) -> bool:
        try:
            fresh = self._verdict()
        except NimbusError:
            return False  # the stage itself will say what is wrong
        if fresh:
            # What was read to find this out is not garbage: the process need not search it when it ends.
            gc.freeze()
        return fresh

    def __repr__(self) -> str:
        try:
            return self._words()
        except NimbusError as error:
            return str(error)


class UpToDateUnlessAsked(UpToDate):
    """Runs whenever an option asks for something, whether there is anything to do or not."""

    def __call__(self, task: Any, values: Mapping[str, str]) -> bool:  # type: ignore[override]  # noqa: ARG002
        """Doit passes the task and what its last good run returned, by these names."""
        defaults = {option["name"]: option["default"] for option in task.params}
        asked = any(value != defaults.get(name) for name, value in (task.options or {}).items())
        return not asked and super().__call__()


def reporter_for(console: Console) -> type[ConsoleReporter]:
    """Return a reporter class for doit that keeps out of the way of our console."""

    class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
        """Like doit's own for everybody else's tasks; with `--json`, standard output is the document's alone."""

        def initialize(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
            super().initialize(tasks, selected_tasks)
            if any((tasks[name].options or {}).get("json") for name in selected_tasks if name in tasks):
                console.divert()
                self.outstream = sys.stderr

        def execute_task(self, task: Any) -> None:
            if not (task.meta or {}).get("nimbus"):
                super().execute_task(task)

    return Reporter
