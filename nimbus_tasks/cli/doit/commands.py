"""Corrections to doit's own commands, in a process whose dodo.py or loader brings our tasks.

doit 0.37 has no other place for them: a dodo.py cannot choose its loader, and names are resolved before a reporter is
asked. What does not concern our tasks stays as doit has it.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import cmd_base, cmd_clean, cmd_forget, cmd_ignore, cmd_list, cmd_resetdep, cmd_run
from doit.cmd_help import Help
from doit.cmd_info import Info
from doit.control import TaskControl
from doit.doit_cmd import DoitMain, reset_vars, set_var
from doit.exceptions import InvalidCommand

from nimbus_tasks.cli.console import end_without_reader, exit_with
from nimbus_tasks.cli.doit.state_file import Dependencies, StateFile
from nimbus_tasks.cli.doit.task import NimbusTask
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project.files import make_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_check_tasks_exist = cmd_base.check_tasks_exist
_execute_help = Help._execute
_execute_info = Info._execute
_describe_reasons = Info.get_reasons


def correct_doit() -> None:
    """Name the nearest task for an unknown name, print readable reasons, and end quietly in `doit list | head`.

    A damaged state file is made anew.
    """
    cmd_base.Dependency = Dependencies
    cmd_run.TaskControl = _Control
    for module in (cmd_clean, cmd_forget, cmd_ignore, cmd_list, cmd_resetdep):
        module.check_tasks_exist = _check
    Help._execute = _help
    Info._execute = _info
    Info.get_reasons = staticmethod(_reasons)
    DoitMain.process_args = _arguments
    for command in DoitMain.DOIT_CMDS:
        if hasattr(command, "_execute"):  # the others load no tasks
            command._execute = _until_reader_ends(command._execute)
    for command in (cmd_forget.Forget, cmd_ignore.Ignore, cmd_resetdep.ResetDep):
        command._execute = _if_writable(command._execute)


class _Control(TaskControl):  # type: ignore[misc]  # doit has no types
    """doit's selection of tasks. An unknown name that resembles one of ours gets the nearest name as an answer."""

    def process(self, task_selection: list[str] | None) -> None:
        try:
            super().process(task_selection)
        except InvalidCommand as error:
            if error.not_found:
                refuse_unknown(error.not_found, self.tasks, task_selection or ())
            raise


def _until_reader_ends(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same method, which ends the process quietly when the reader of its output has gone."""

    @functools.wraps(execute)  # doit reads the names of the parameters
    def executed(*args: Any, **more: Any) -> Any:
        try:
            return execute(*args, **more)
        except BrokenPipeError:
            end_without_reader(sys.stdout)

    return executed


def _if_writable(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same method, which refuses a state file that is only read: nothing would be forgotten."""

    @functools.wraps(execute)
    def executed(command: Any, *args: Any, **more: Any) -> Any:
        state = command.dep_manager.backend
        if isinstance(state, StateFile) and state.is_copy:
            path = Path(state.name)
            exit_with(StateError(f"{path} is not writable.", make_writable(path)))
        return execute(command, *args, **more)

    return executed


def _check(tasks: Mapping[str, Any], names: Sequence[str], skip_wildcard: bool = False) -> None:
    try:
        _check_tasks_exist(tasks, names, skip_wildcard)
    except InvalidCommand:
        unknown = next(name for name in names if name not in tasks and not (skip_wildcard and "*" in name))
        refuse_unknown(unknown, tasks, names)
        raise


def _help(command: Help, pos_args: Sequence[str]) -> bool:
    """Refuse an unknown name: doit itself prints its general help, and ends with status 0."""
    if not _execute_help(command, pos_args):
        from nimbus_tasks.cli.option_errors import refuse_task

        public = [task.name for task in command.task_list if not task.name.startswith("_")]
        exit_with(refuse_task(pos_args[0], [*public, *command.cmds]))
    return True


def _info(command: Info, pos_args: Sequence[str], hide_status: bool = False) -> int:
    if len(pos_args) == 1 and pos_args[0] not in {task.name for task in command.task_list}:
        (name,) = pos_args
        refuse_unknown(name, {task.name: task for task in command.task_list})
        # doit itself ends with a KeyError.
        raise InvalidCommand(not_found=name)
    status: int = _execute_info(command, pos_args, hide_status)
    return status


def _reasons(reasons: dict[str, Any]) -> str:
    """Return the reasons to run a task, without the Python values that doit appends to a check of ours."""
    text: str = _describe_reasons(reasons)
    return text.replace(" (args=[], kwargs={})", "")


def _arguments(_: DoitMain, arguments: Iterable[str]) -> list[str]:
    """Set the variables among the arguments and return the others. doit itself fails on an empty one (`--name ""`)."""
    reset_vars()
    rest: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not argument and rest and rest[-1].startswith("--"):
            rest[-1] += "="
        elif not argument:
            exit_with(SettingsError("An argument is empty.", "Is a variable of the shell not set?"))
        elif equals and not argument.startswith("-"):
            set_var(name, value)
        else:
            rest.append(argument)
    return rest


def refuse_unknown(word: str, tasks: Mapping[str, Any], selection: Iterable[str] = ()) -> None:
    """End the process with the nearest name, if a task of ours was meant or the word follows one."""
    from nimbus_tasks.cli.option_errors import refuse_task
    from nimbus_tasks.model.suggest import meant_tasks, tasks_below

    public = [name for name in tasks if not name.startswith("_")]
    names = [*meant_tasks(word, public), *tasks_below(word, public), *selection]
    if any(isinstance(tasks.get(name), NimbusTask) for name in names):
        exit_with(refuse_task(word, public))
