"""Tasks of ours, as doit has them: their help texts, and their options, whose mistakes are one line each."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import doit
from doit.cmdparse import CmdParseError
from doit.task import Task

from nimbus_tasks.cli.doit.refusing import refuse
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nimbus_tasks.cli.option_errors import Option

_made: list[NimbusTask] = []


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


class NimbusTask(Task):  # type: ignore[misc]  # doit has no types
    """A task of ours: what is wrong with its options is said in one line, with exit status 2 (doit's own is 3)."""

    def init_options(self, args: Sequence[str] | None = None) -> list[str] | None:
        """Read the options; `args` are the words behind the task's name, None where it was not named itself."""
        if self.options is None and args is not None:
            self._refuse_variables()
        if self.options is None:
            self._refuse_configuration()
        try:
            unread: list[str] | None = super().init_options(args)
        except CmdParseError as error:
            refuse(self._what_is_wrong(args or ()) or NimbusError(str(error)))
        if self.options is not None and args:
            # doit takes `--batch --json` for a batch of that name.
            refuse(self._what_is_wrong(args))
        return unread

    def _refuse_variables(self) -> None:
        for option in self.params:
            value = doit.get_var(option["name"]) or doit.get_var(option["long"])
            if value is not None:
                from nimbus_tasks.cli.option_errors import refuse_variable

                refuse(refuse_variable(self.name, _option(option), value))

    def _refuse_configuration(self) -> None:
        # doit passes over a name that it does not know.
        if unknown := (self.cfg_values or {}).keys() - {option["name"] for option in self.params}:
            from nimbus_tasks.cli.option_errors import refuse_name

            refuse(_configured(refuse_name(self.name, [option["name"] for option in self.params], min(unknown))))

    def _what_is_wrong(self, args: Sequence[str]) -> NimbusError | None:
        from nimbus_tasks.cli.option_errors import refuse_value, refuse_words

        options = {option["name"]: _option(option) for option in self.params}
        if refused := refuse_words(self.name, list(options.values()), args):
            return refused
        # What stands in the project's configuration of doit, such as [tool.doit.tasks.upload] in pyproject.toml.
        for name, value in (self.cfg_values or {}).items():
            if name in options and (refused := refuse_value(self.name, options[name], str(value))):
                return _configured(refused)
        return None


def make_task(name: str, text: str, action: Callable[..., object], **more: Any) -> Task:
    """Return a doit task of ours. `clean` is called with `dry_run`; all else is doit's own."""
    if clean := more.get("clean"):
        more["clean"] = [_clean_action(clean)]
    # Uncaptured, so that a live bar is live and its frames are not kept.
    task = NimbusTask(name, [action], io={"capture": False}, verbosity=2, **more)
    task.doc = HelpText(text)
    _made.append(task)
    return task


def made_tasks() -> dict[str, tuple[str, list[Option]]]:
    """Return every task of ours that this process has made: its line in a list, and its options, by its name."""
    public = {task.name: task for task in _made if not task.name.startswith("_")}
    return {name: (format(task.doc), [_option(each) for each in task.params]) for name, task in public.items()}


def _option(described: Mapping[str, Any]) -> Option:
    """Return an option as it is typed, from how doit has it."""
    from nimbus_tasks.cli.option_errors import Option

    choices = tuple(name for name, _ in described.get("choices", ()))
    return Option(described["long"], described["type"], choices, described.get("help", ""))


def _configured(error: NimbusError) -> NimbusError:
    return NimbusError(f"In the configuration of doit: {error.message}", error.next_step)


def _clean_action(clean: Callable[[bool], None]) -> Callable[[bool], None]:
    def action(dryrun: bool) -> None:  # doit passes it by this name
        clean(dryrun)

    return action
