"""Our tasks as doit sees them: help texts, options whose mistakes are one line each, up-to-date checks."""

from __future__ import annotations

import gc
import inspect
from typing import TYPE_CHECKING, Any

import doit
from doit import doit_cmd
from doit.cmdparse import CmdParseError
from doit.task import Task

from nimbus_tasks.cli.console import exit_with
from nimbus_tasks.cli.next_steps import made
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nimbus_tasks.cli.option_errors import Option

#: Options that change how the work is done; where there is no work, they ask for nothing.
_MANNER = frozenset({"concurrency", "delay", "verbose"})


class HelpText(str):
    """The doc of a task: one line in lists, all of it in `doit help TASK`.

    doit keeps only the first line of a doc. It prints that with `format` in lists and with `%s` in its help, so this
    is a text of one line with a longer one as its `str()`.
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


class OptionDict(dict[str, Any]):
    """An option as doit wants it, and as `doit info` can print it."""

    def __str__(self) -> str:
        value = "" if self["type"] is bool else "=ARG"
        return f"{'--' + self['long'] + value:<24}  {self['help']}"


class NimbusTask(Task):  # type: ignore[misc]  # doit has no types
    """A task of ours. A mistake in its options is one line, with exit status 2 (doit's own is 3).

    check: raises a `NimbusError` for options that cannot be obeyed; called before any task runs.
    """

    check: Callable[[Mapping[str, Any]], object] | None = None

    def init_options(self, args: Sequence[str] | None = None) -> list[str] | None:
        """Read the options. `args` are the words behind the task's name; None where it was not named itself."""
        if self.options is None and args is not None:
            self._refuse_variables()
        if self.options is None:
            self._refuse_configuration()
        try:
            unread: list[str] | None = super().init_options(args)
        except CmdParseError as error:
            exit_with(self._mistake(args or ()) or NimbusError(str(error)))
        # doit takes `--batch --json` for a batch of that name.
        if self.options is not None and args and (mistake := self._mistake(args)):
            exit_with(mistake)
        if self.check is not None and self.options is not None:
            try:
                self.check(self.options)
            except NimbusError as error:
                exit_with(error)
        return unread

    def _refuse_variables(self) -> None:
        for option in self.params:
            value = doit.get_var(option["name"]) or doit.get_var(option["long"])
            if value is not None:
                from nimbus_tasks.cli.option_errors import refuse_variable

                exit_with(refuse_variable(self.name, _option(option), value))

    def _refuse_configuration(self) -> None:
        # doit ignores a name that it does not know.
        if unknown := (self.cfg_values or {}).keys() - {option["name"] for option in self.params}:
            from nimbus_tasks.cli.option_errors import refuse_name

            exit_with(_in_config(refuse_name(self.name, [option["name"] for option in self.params], min(unknown))))

    def _mistake(self, args: Sequence[str]) -> NimbusError | None:
        """Return what is wrong with the options on the command line and in doit's configuration."""
        from nimbus_tasks.cli.option_errors import refuse_value, refuse_words

        options = {option["name"]: _option(option) for option in self.params}
        variables = doit_cmd._CMDLINE_VARS or {}  # doit has no function for their names
        if refused := refuse_words(self.name, list(options.values()), args, variables.items()):
            return refused
        # Such as [tool.doit.tasks.upload] in pyproject.toml.
        for name, value in (self.cfg_values or {}).items():
            if name in options and (refused := refuse_value(self.name, options[name], str(value))):
                return _in_config(refused)
        return None


def make_task(
    name: str,
    text: str,
    action: Callable[..., object],
    *,
    check: Callable[[Mapping[str, Any]], object] | None = None,
    **more: Any,
) -> Task:
    """Return a task of ours. `clean` is called with `dry_run`; the rest of `more` is doit's own."""
    if clean := more.get("clean"):
        more["clean"] = [_clean_action(clean)]
    # Uncaptured, so that a live bar is live and its frames are not kept.
    task = NimbusTask(name, [action], io={"capture": False}, verbosity=2, **more)
    task.doc, task.check = HelpText(text), check
    made.append(task)
    return task


def made_tasks() -> dict[str, tuple[str, list[Option]]]:
    """Return the line and the options of every public task that this process has made, by name."""
    ours = [task for task in made if isinstance(task, NimbusTask)]
    public = {task.name: task for task in ours if not task.name.startswith("_")}
    return {name: (format(task.doc), [_option(each) for each in task.params]) for name, task in public.items()}


def _option(described: Mapping[str, Any]) -> Option:
    """Return an option as it is typed, from doit's description of it."""
    from nimbus_tasks.cli.option_errors import Option

    choices = tuple(name for name, _ in described.get("choices", ()))
    return Option(described["long"], described["type"], choices, described.get("help", ""))


def _in_config(error: NimbusError) -> NimbusError:
    return NimbusError(f"In the configuration of doit: {error.message}", error.next_step)


def _clean_action(clean: Callable[[bool], None]) -> Callable[[bool], None]:
    def action(dryrun: bool) -> None:  # doit passes it by this name
        try:
            clean(dryrun)
        except NimbusError as error:
            exit_with(error)

    return action


class UpToDate:
    """Whether a stage has nothing to do. `doit info` prints it as `describe` words it."""

    def __init__(self, is_current: Callable[[], bool], describe: Callable[[], str]) -> None:
        self._is_current = is_current
        self._describe = describe

    def __call__(self) -> bool:
        try:
            current = self._is_current()
        except NimbusError:
            return False  # the stage itself reports the error
        if current:
            # What was read for this answer lives until the process ends: the collector need not search it.
            gc.freeze()
        return current

    def __repr__(self) -> str:
        try:
            return self._describe()
        except NimbusError as error:
            return str(error)


class UpToDateUnlessAsked(UpToDate):
    """Not up to date whenever an option asks for something, whether there is anything to do or not."""

    def __call__(self, task: Any, values: Mapping[str, str]) -> bool:  # type: ignore[override]
        """Answer doit, which passes the task and the result of its last good run by these names."""
        # After `doit forget` there is no last run.
        task.value_savers.append(lambda: {"ran": "yes"})
        defaults = {option["name"]: option["default"] for option in task.params}
        # `concurrency = 10` in [tool.doit.tasks.upload] applies to every run: it asks for nothing by itself.
        ignored = {"quiet"} | _MANNER & (task.cfg_values or {}).keys()
        asked = any(value != defaults.get(name) for name, value in (task.options or {}).items() if name not in ignored)
        return "ran" in values and not asked and super().__call__()
