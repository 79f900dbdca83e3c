"""Which tasks a command line chooses: a name that is none gets the nearest one for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doit import cmd_run
from doit.control import TaskControl
from doit.exceptions import InvalidCommand

from nimbus_tasks.cli.doit.refusing import refuse
from nimbus_tasks.cli.doit.task import NimbusTask

if TYPE_CHECKING:
    from collections.abc import Sequence


def answer_wrong_names() -> None:
    """Have `doit run` choose tasks by our class, in this process: its dodo.py brings our tasks.

    doit 0.37 has no other place for this: a name that is none is refused before a reporter is asked, and a dodo.py
    cannot choose its loader. All that does not concern our tasks goes on as doit has it.
    """
    cmd_run.TaskControl = _Control


class _Control(TaskControl):  # type: ignore[misc]  # doit has no types
    """doit's choice of tasks; a word that names none is answered with the nearest name if that is one of ours."""

    def process(self, task_selection: list[str] | None) -> None:
        try:
            super().process(task_selection)
        except InvalidCommand as error:
            if error.not_found and self._is_ours(error.not_found, task_selection or ()):
                from nimbus_tasks.cli.option_errors import refuse_task

                refuse(refuse_task(error.not_found, self._public()))
            raise

    def _public(self) -> list[str]:
        return [name for name in self.tasks if not name.startswith("_")]

    def _is_ours(self, word: str, selection: Sequence[str]) -> bool:
        """Whether a task of ours was meant, or the word follows one."""
        from nimbus_tasks.model.suggest import meant_tasks, tasks_below

        names = [*meant_tasks(word, self._public()), *tasks_below(word, self._public()), *selection]
        return any(isinstance(self.tasks.get(name), NimbusTask) for name in names)
