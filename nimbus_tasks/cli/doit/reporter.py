"""What doit says of a run, out of the way of our console."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from doit.reporter import ConsoleReporter

from nimbus_tasks.cli.doit.task import NimbusTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from doit.task import Task

    from nimbus_tasks.cli.console import Console


def reporter_for(console: Console) -> type[ConsoleReporter]:
    """Return a reporter class for doit that keeps out of the way of our console."""

    class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
        """Like doit's own for everybody else's tasks; with `--json`, standard output is the document's alone."""

        def initialize(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
            super().initialize(tasks, selected_tasks)
            asked = [task.options or {} for n in selected_tasks if isinstance(task := tasks.get(n), NimbusTask)]
            wishes = {name: any(options.get(name) for options in asked) for name in ("json", "quiet", "verbose")}
            # Before the first task: what the chosen ones depend on speaks too.
            console.obey(**wishes)
            if wishes["json"]:
                self.outstream = sys.stderr
                for task in tasks.values():
                    if not isinstance(task, NimbusTask) and task.verbosity != 0:
                        task.verbosity = 1  # its standard output is kept back, and shown if it fails
            _warn_of_clashes(console, tasks, selected_tasks)

        def execute_task(self, task: Any) -> None:
            if not isinstance(task, NimbusTask):
                super().execute_task(task)

        def skip_uptodate(self, task: Any) -> None:
            if not (console.quiet and isinstance(task, NimbusTask)):
                super().skip_uptodate(task)

    return Reporter


def _warn_of_clashes(console: Console, tasks: Mapping[str, Task], selected: Sequence[str]) -> None:
    """Say so where a task of the user's has taken the place of a stage that the chosen tasks of ours build on."""
    ours = [task for name in selected if isinstance(task := tasks.get(name), NimbusTask)]
    for stage in ("extract", "upload"):
        users = [task.name for task in ours if stage in task.task_dep]
        if users and not isinstance(tasks[stage], NimbusTask):
            console.warn(
                f"The task `{stage}` is one of your own: {users[0]} runs it in place of ours. Rename yours, or have "
                "ours under other names: nimbus_tasks.tasks.prefixed"
            )
