"""What is wrong with a command line, in one line that names the right form. Pure: words in, an error out.

Options are read with `getopt`, as doit does: a long option may be abbreviated where that is unambiguous.
"""

from __future__ import annotations

import getopt
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.suggest import meant_tasks, nearest, tasks_below

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

#: Names of tasks in one line.
MAX_NAMES = 6
#: Characters of a typed word that an error repeats.
MAX_CHARACTERS = 60


def check_interval(interval: int, least: int) -> None:
    """Check `--interval`, in milliseconds.

    Raises:
        SettingsError: it is too short.
    """
    if interval < least:
        raise SettingsError(f"--interval={interval} is too short.", f"The shortest interval is {least} milliseconds.")


class Option(Struct, frozen=True):
    """An option as it is typed. name: without dashes. help: a sentence. A flag takes no value."""

    name: str
    type: Callable[[str], object]
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def is_flag(self) -> bool:
        return self.type is bool

    @property
    def form(self) -> str:
        """The option with an example of a value."""
        if self.is_flag:
            return f"--{self.name}"
        value = self.choices[0] if self.choices else "5" if self.type is int else "..."
        return f"--{self.name}={value}"


def refuse_words(
    task: str, options: Sequence[Option], words: Sequence[str], variables: Iterable[tuple[str, str]] = ()
) -> SettingsError | None:
    """Return what is wrong with the words behind a task's name; None if nothing is.

    variables: what doit took away: each word `a=b`, also where it was the value of an option.
    """
    known = {option.name: option for option in options}
    try:
        given, _ = getopt.getopt(list(words), "", [name if known[name].is_flag else f"{name}=" for name in known])
    except getopt.GetoptError as error:
        is_long = any(word.startswith(f"--{error.opt}") for word in words)
        return _unknown(task, known, error.opt, "--" if is_long else "-", variables)
    for name, value in given:
        if refused := refuse_value(task, known[name.removeprefix("--")], value, known, variables):
            return refused
    return None


def refuse_value(
    task: str,
    option: Option,
    value: str,
    known: Collection[str] = (),
    variables: Iterable[tuple[str, str]] = (),
) -> SettingsError | None:
    """Return what is wrong with the value of an option; None if nothing is. `known`: the task's options."""
    if option.is_flag:
        return None
    if value.startswith("--") and value[2:].partition("=")[0] in known:
        # `--batch --json`: getopt took the second option for the value of the first.
        return _needs_value(task, option, variables)
    try:
        option.type(value)
    except ValueError:
        kind = "a whole number" if option.type is int else "a number"
        return SettingsError(f"{task} --{option.name}: `{_shown(value)}` is not {kind}.", f"Such as {option.form}")
    if option.choices and value not in option.choices:
        meant = nearest(value, option.choices)
        hint = f"Did you mean {meant}?" if meant else ""
        return SettingsError(f"{task} --{option.name} must be one of {', '.join(option.choices)}.", hint)
    return None


def refuse_variable(task: str, option: Option, value: str) -> SettingsError:
    """Return the error for `limit=5`, which doit takes for a variable of the dodo.py, instead of `--limit=5`."""
    given = f"{option.name.replace('-', '_')}={_shown(value)}"
    meant = f"--{option.name}" if option.is_flag else f"--{option.name}={_shown(value)}"
    return SettingsError(f"{task}: `{given}` is not an option.", f"Did you mean {meant}?")


def refuse_name(task: str, known: Collection[str], name: str) -> SettingsError:
    """Return the error for an unknown option in the configuration of doit.

    There, options have the names that doit uses: `dry_run`, without dashes.
    """
    all_of_them = f"Its options: {', '.join(sorted(known))}" if known else "It takes none."
    meant = nearest(name, known)
    return SettingsError(f"{task} has no option `{_shown(name)}`.", f"Did you mean {meant}?" if meant else all_of_them)


def refuse_task(name: str, known: Collection[str]) -> SettingsError:
    """Return the error for a word that is neither a task nor a target. `known`: all tasks."""
    message = f"There is no task `{_shown(name)}`."
    if below := tasks_below(name, known):
        more = ", ..." if len(below) > MAX_NAMES else ""
        return SettingsError(message, f"There are {', '.join(below[:MAX_NAMES])}{more}  All tasks: doit list")
    meant = " or ".join(meant_tasks(name, known))
    return SettingsError(message, f"Did you mean {meant}?  All tasks: doit list" if meant else "All tasks: doit list")


def _unknown(
    task: str, known: Mapping[str, Option], name: str, dashes: str, variables: Iterable[tuple[str, str]]
) -> SettingsError:
    """Return the error for an option that getopt refuses. `name`: without dashes."""
    if name in known:
        option = known[name]
        return (
            SettingsError(f"{task} --{name} takes no value.")
            if option.is_flag
            else _needs_value(task, option, variables)
        )
    all_of_them = f"Its options: doit help {task}"
    given = f"{dashes}{_shown(name)}"
    started = sorted(each for each in known if each.startswith(name))
    if started and dashes == "--":
        return SettingsError(f"{task} {given} may mean {' or '.join(f'--{each}' for each in started)}.", all_of_them)
    meant = nearest(name, known)
    hint = f"Did you mean --{meant}?  " if meant else ""
    return SettingsError(f"{task} has no option {given}.", f"{hint}{all_of_them if known else 'It takes none.'}")


def _needs_value(task: str, option: Option, variables: Iterable[tuple[str, str]]) -> SettingsError:
    hint = f"Such as {option.form}"
    for name, value in variables:
        word = _shown(f"{name}={value}")
        hint = f"Join them: --{option.name}={word}  doit takes `{word}` alone for a variable."
    return SettingsError(f"{task} --{option.name} needs a value.", hint)


def _shown(word: str) -> str:
    word = "".join(each if each.isprintable() else "?" for each in word)
    return word if len(word) <= MAX_CHARACTERS else f"{word[:MAX_CHARACTERS]}..."
