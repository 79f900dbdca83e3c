"""The commands about this machine: what keeps an upload from working, and completion for its shells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.doit import made_tasks
from nimbus_tasks.cli.tasks.session import command, console, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

#: Shells that `nimbus:completion` writes a script for.
SHELLS = ("bash", "zsh", "fish")


def doctor_tasks() -> Iterator[Task]:
    yield command("nimbus:doctor", _DOCTOR_HELP, _doctor)
    shell = option("shell", SHELLS[0], "whose script") | {"choices": [(name, "") for name in SHELLS]}
    yield command("nimbus:completion", _COMPLETION_HELP, _complete, params=[shell])


def _doctor(*, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.doctor import doctor

    return doctor(console, as_json=as_json)


def _complete(shell: str, *, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.completion import print_script

    return print_script(shell, made_tasks(), as_json=as_json)


_DOCTOR_HELP = """Look at all that an upload needs, and say what is wrong and what to do

Settings, source folder, credentials, store (reading is tried, and writing where that changes nothing), clock,
permissions, disk, versions, databases, queue. Nothing is changed. Ends with status 2 if an upload will not work;
warnings are no reason for that.

Examples:
  doit nimbus:doctor
  doit nimbus:doctor --json
"""
_COMPLETION_HELP = """Print a script that completes tasks and options in bash, zsh or fish

Made from the tasks of this project; the names of your own tasks are read from its dodo.py as you type. In folders
without Nimbus Tasks, what completed doit before goes on.

Examples:
  source <(doit nimbus:completion)                                                for this session
  doit nimbus:completion > ~/.local/share/bash-completion/completions/doit        for every bash
  doit nimbus:completion --shell=zsh > ~/.zfunc/_doit                             with fpath+=(~/.zfunc) in .zshrc
  doit nimbus:completion --shell=fish > ~/.config/fish/completions/doit.fish
"""
