"""The commands about a project and this machine: init, doctor, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.doit import made_tasks
from nimbus_tasks.cli.tasks.session import command, console, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

#: Shells that `nimbus:completion` writes a script for.
SHELLS = ("bash", "zsh", "fish")


def project_tasks() -> Iterator[Task]:
    yield command(
        "nimbus:project:init",
        _INIT_HELP,
        _init,
        params=[
            option("name", "", "name of the project (default: the folder's name)"),
            option("domain", "", "domain of the site"),
            option("source", "", "folder with the built HTML (default: the first of dist, build, ... that exists)"),
            option("nested", False, "make a project inside another one"),
        ],
    )
    yield command("nimbus:doctor", _DOCTOR_HELP, _doctor)
    shell = option("shell", SHELLS[0], f"shell to write for (default: {SHELLS[0]})")
    shell["choices"] = [(name, "") for name in SHELLS]
    yield command("nimbus:completion", _COMPLETION_HELP, _complete, params=[shell])


def _init(name: str, domain: str, source: str, nested: bool, *, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.project import init

    return init(console, name, domain, source, nested=nested, as_json=as_json)


def _doctor(*, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.project import doctor

    return doctor(console, as_json=as_json)


def _complete(shell: str, *, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.project import completion

    return completion(shell, made_tasks(), as_json=as_json)


_INIT_HELP = """Make a project here: .nimbus/project.toml and .gitignore

Finds the folder with the built HTML (dist, build, _site, public, out, site), and asks only on a terminal. In an
existing project it changes nothing. Where project.toml was lost and the ledger is still there, the new file gets the
old project id.

Examples:
  doit nimbus:project:init
  doit nimbus:project:init --name="Swiss Watch Repair" --domain=example.com --source=dist
"""
_DOCTOR_HELP = """Check everything that an upload needs, and say what is wrong and what to do

Settings, source folder, credentials, store (reading is tried, and writing where that changes nothing), clock,
permissions, disk, versions, databases, queue. Nothing is changed. Ends with status 2 if an upload will not work;
warnings do not count.

Examples:
  doit nimbus:doctor
  doit nimbus:doctor --json
"""
_COMPLETION_HELP = """Print a script that completes tasks and options in bash, zsh or fish

Made from the tasks of this project; the names of your own tasks are read from its dodo.py as you type. In folders
without Nimbus Tasks, an earlier completion of doit stays in use.

Examples:
  source <(doit nimbus:completion)                                                for this session
  doit nimbus:completion > ~/.local/share/bash-completion/completions/doit        for every bash
  doit nimbus:completion --shell=zsh > ~/.zfunc/_doit                             with fpath+=(~/.zfunc) in .zshrc
  doit nimbus:completion --shell=fish > ~/.config/fish/completions/doit.fish
"""
