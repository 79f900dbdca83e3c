"""The script for fish: a file `doit.fish` in `~/.config/fish/completions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.completion.tasks import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.cli.completion.tasks import Choice, Completed

_HEAD = r"""# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=fish

function __nimbus_doit_here
    test -d .nimbus; or grep -qs nimbus_tasks dodo.py; or grep -qs 'loader *= *"nimbus"' pyproject.toml
end

# The last task on the line is the one whose options follow.
function __nimbus_doit_task
    set -l task
    for word in (commandline -opc)[2..-1]
        contains -- $word @NAMES@; and set task $word
    end
    test "$task" = "$argv[1]"; and __nimbus_doit_here
end

# Tasks of one's own, as the dodo.py has them.
function __nimbus_doit_own
    test -r dodo.py; and string replace -rf '^def task_(\w+).*' '$1' <dodo.py
end

complete -c doit -f -n __nimbus_doit_here -a '(__nimbus_doit_own)' -d 'task of your own'
"""


def script(tasks: Sequence[Completed]) -> str:
    first = "__nimbus_doit_here; and test (count (commandline -opc)) -eq 1"
    lines = [_HEAD.replace("@NAMES@", " ".join(task.name for task in tasks))]
    for name, line in COMMANDS.items():
        lines.append(f"complete -c doit -f -n {_quoted(first)} -a {name} -d {_quoted(line)}\n")
    for task in tasks:
        lines.append(f"complete -c doit -f -n __nimbus_doit_here -a {task.name} -d {_quoted(task.line)}\n")
        lines += [f"{_option(task.name, option)}\n" for option in task.options]
    return "".join(lines)


def _option(task: str, option: Choice) -> str:
    line = f"complete -c doit -n '__nimbus_doit_task {task}' -l {option.name} -d {_quoted(option.help)}"
    if not option.takes_value:
        return line
    if option.choices:
        return f"{line} -x -a {_quoted(' '.join(option.choices))}"
    return f"{line} -r -F" if option.takes_path else f"{line} -x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
