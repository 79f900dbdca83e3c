"""One run of doit: what it prints beside our console, and the exit status of a command."""

from __future__ import annotations

import atexit
import signal
import sys
from typing import TYPE_CHECKING, Any

from doit.exceptions import TaskError, TaskFailed
from doit.reporter import ConsoleReporter

from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED, EndedBySignal
from nimbus_tasks.cli.console import discard, write
from nimbus_tasks.cli.doit.task import NimbusTask
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from doit.task import Task

    from nimbus_tasks.cli.console import Console


def run(console: Console, command: Callable[[], int]) -> object:
    """Run a command, and turn its exit status or error into what doit understands.

    Errors are printed here: doit prints nothing more.
    """
    odd_records = console.odd_records
    try:
        status = command()
        if status == OK and console.odd_records > odd_records:
            status = SOME_FAILED  # what they are about was left out
    except NimbusError as error:
        console.fail(str(error))
        status = error.exit_status
    except KeyboardInterrupt as interrupt:
        if not isinstance(interrupt, EndedBySignal):
            console.line()
            console.fail("Interrupted. What was stored is safe; run the same command to continue.")
        # A command may name the signal that ended it; the default is Ctrl-C.
        sys.exit(128 + next(iter(interrupt.args), signal.SIGINT))
    if status == OK:
        return None
    kind = TaskError if status == NOTHING_DONE else TaskFailed
    return kind("", report=False)


def reporter_for(console: Console) -> type[ConsoleReporter]:
    """Return a reporter class for doit that keeps out of the way of our console."""

    class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
        """Like doit's own for other tasks. With `--json`, standard output holds the document alone."""

        def write(self, text: str) -> None:
            write(self.outstream, text)

        def initialize(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
            super().initialize(tasks, selected_tasks)
            selected = [task.options or {} for n in selected_tasks if isinstance(task := tasks.get(n), NimbusTask)]
            output = {name: any(options.get(name) for options in selected) for name in ("json", "quiet", "verbose")}
            # Before the first task: the dependencies of the selected tasks print too.
            console.obey(**output)
            if output["json"]:
                self.outstream = sys.stderr
                for task in tasks.values():
                    if not isinstance(task, NimbusTask) and task.verbosity != 0:
                        task.verbosity = 1  # its standard output is captured, and shown if it fails
            _warn_of_replaced_stages(console, tasks, selected_tasks)

        def execute_task(self, task: Any) -> None:
            if not isinstance(task, NimbusTask):
                super().execute_task(task)

        def skip_uptodate(self, task: Any) -> None:
            if not (console.quiet and isinstance(task, NimbusTask)):
                super().skip_uptodate(task)

    return Reporter


def _warn_of_replaced_stages(console: Console, tasks: Mapping[str, Task], selected: Sequence[str]) -> None:
    """Warn where a task of the user replaces a stage that the selected tasks build on."""
    ours = [task for name in selected if isinstance(task := tasks.get(name), NimbusTask)]
    for stage in ("extract", "upload"):
        users = [task.name for task in ours if stage in task.task_dep]
        if users and not isinstance(tasks[stage], NimbusTask):
            console.warn(
                f"The task `{stage}` is one of your own: {users[0]} runs it in place of ours. Rename yours, or have "
                "ours under other names: nimbus_tasks.tasks.prefixed"
            )


@atexit.register
def _flush() -> None:
    """Flush what doit itself has printed (`doit list | head -1`): Python's own flush at exit would complain."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
