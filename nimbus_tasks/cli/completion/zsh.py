"""The script for zsh: a file `_doit` in a folder of `fpath`, or to be sourced after `compinit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.completion.tasks import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.cli.completion.tasks import Choice, Completed

_SCRIPT = r"""#compdef doit
# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=zsh

_nimbus_doit_tasks() {
    local -a tasks own
    tasks=(
@TASKS@
    )
    # Tasks of one's own, as the dodo.py has them.
    [[ -r dodo.py ]] && own=(${${(M)${(f)"$(<dodo.py)"}:#def task_*}/(#b)def task_([A-Za-z0-9_]##)*/$match[1]})
    _describe -t tasks 'task' tasks
    (( $#own )) && _describe -t own-tasks 'task of your own' own
}

_nimbus_doit() {
    setopt local_options extended_glob
    local -a names commands
    local index
    names=(@NAMES@)
    # The last task on the line is the one whose options follow.
    for (( index = CURRENT - 1; index > 1; index-- )); do
        if (( $names[(Ie)${words[index]//\\/}] )); then
            words=("${(@)words[index,-1]}")
            (( CURRENT -= index - 1 ))
            break
        fi
    done
    case ${words[1]//\\/} in
@OPTIONS@
        *)
            if (( CURRENT == 2 )); then
                commands=(
@COMMANDS@
                )
                _describe -t commands 'command of doit' commands
            fi
            _nimbus_doit_tasks
            ;;
    esac
}

# As the file _doit in a folder of fpath, all of this is that function's body; else it is being sourced.
if [[ $funcstack[1] == _doit ]]; then
    _nimbus_doit "$@"
else
    compdef _nimbus_doit doit
fi
"""


def script(tasks: Sequence[Completed]) -> str:
    return (
        _SCRIPT.replace("@TASKS@", "\n".join(f"        {_described(task.name, task.line)}" for task in tasks))
        .replace("@NAMES@", " ".join(task.name for task in tasks))
        .replace("@OPTIONS@", "\n".join(_options(task) for task in tasks))
        .replace("@COMMANDS@", "\n".join(f"                    {_described(*each)}" for each in COMMANDS.items()))
    )


def _described(name: str, line: str) -> str:
    return _quoted(f"{_escaped(name)}:{line}")


def _options(task: Completed) -> str:
    specs = [_spec(option) for option in task.options] + ["'*:task:_nimbus_doit_tasks'"]
    return f"        {task.name}) _arguments {' '.join(specs)} ;;"


def _spec(option: Choice) -> str:
    told = _escaped(option.help).replace("[", r"\[").replace("]", r"\]")
    if not option.takes_value:
        return _quoted(f"--{option.name}[{told}]")
    action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.takes_path else " "
    return _quoted(f"--{option.name}=[{told}]:{option.name}:{action}")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace(":", r"\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
