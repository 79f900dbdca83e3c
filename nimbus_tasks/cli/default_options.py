"""doit's `run`, which also takes options of our tasks before any task: `doit --quiet`, for the default tasks.

doit reads its own options before it loads a dodo.py. It finds this class by its entry point (group `doit.COMMAND` in
our pyproject.toml), in every project of the environment: where no task of ours is selected, all is as doit has it. It
is not in `cli/doit/`, which every such project would load with it.
"""

from __future__ import annotations

import functools
import getopt
from typing import TYPE_CHECKING, Any

from doit import cmd_run

if TYPE_CHECKING:
    from collections.abc import Sequence


class Run(cmd_run.Run):  # type: ignore[misc]  # doit has no types
    """Runs tasks; words that doit does not know go to the selected tasks of ours, which say what is wrong with them."""

    name = "run"
    sel_tasks: list[str] | None
    _arguments: list[str]
    _words: list[str]

    def parse_execute(self, in_args: list[str]) -> Any:
        self._arguments = in_args
        known, self._words = split(in_args, self.cmdparser.get_short(), self.cmdparser.get_long())
        return super().parse_execute(known)

    @functools.wraps(cmd_run.Run._execute)  # doit reads the names of the parameters
    def _execute(self, *args: Any, **more: Any) -> Any:
        if self._words:
            self._pass_on()
        return super()._execute(*args, **more)

    def _pass_on(self) -> None:
        from nimbus_tasks.cli.doit import NimbusTask
        from nimbus_tasks.cli.doit.commands import refuse_unknown

        tasks = {task.name: task for task in self.task_list}
        ours = {name for name, task in tasks.items() if isinstance(task, NimbusTask)}
        selection = self.sel_tasks or []
        if ours.isdisjoint(selection):
            for name in selection:
                if name not in tasks:
                    refuse_unknown(name, tasks)
            self.cmdparser.parse(self._arguments)  # raises doit's error
        self.sel_tasks = [each for name in selection for each in (name, *(self._words if name in ours else ()))]


def split(arguments: Sequence[str], short: str, long: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without the options that doit does not know, and those.

    short, long: the options that it knows, as `getopt` takes them.
    """
    known, words = list(arguments), list[str]()
    while True:
        try:
            getopt.getopt(known, short, long)
        except getopt.GetoptError as error:
            unknown = not any(name.startswith(error.opt) for name in (*long, *short.replace(":", "")))
            word = next((each for each in known if each.partition("=")[0].lstrip("-") == error.opt), "")
            if not (unknown and word):
                return known, words  # such as a value that is missing
            known.remove(word)
            words.append(word)
        else:
            return known, words
