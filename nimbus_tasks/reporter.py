"""doit's console reporter, without the lines that our tasks say better themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from doit.reporter import ConsoleReporter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.console import Console

#: Tasks with this in their `meta` speak for themselves.
SPEAKS = {"nimbus": True}


def reporter_for(ours: Console) -> type[ConsoleReporter]:
    """Return a reporter class for doit that keeps out of the way of our console."""

    class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
        """Like doit's own for everybody else's tasks; with `--json`, standard output is the document's alone."""

        def initialize(self, tasks: Mapping[str, Any], selected_tasks: Sequence[str]) -> None:
            super().initialize(tasks, selected_tasks)
            if any((tasks[name].options or {}).get("json") for name in selected_tasks if name in tasks):
                ours.divert()
                self.outstream = sys.stderr

        def execute_task(self, task: Any) -> None:
            if not (task.meta or {}).get("nimbus"):
                super().execute_task(task)

    return Reporter
