"""`nimbus:completion`: a script for bash, zsh or fish that completes tasks and options. Pure.

The scripts are static, so that a key press starts no Python. They read the names of a user's own tasks from the
dodo.py themselves. (`doit tabcompletion` starts doit at each key, and knows no options.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.cli.option_errors import Option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: doit's own commands that take names of tasks; its others are rarely typed.
COMMANDS = {
    "list": "list the tasks",
    "help": "what a task does, its options, examples",
    "info": "why a task would run",
    "run": "run tasks (the same as their names alone)",
    "clean": "remove what a task made",
    "forget": "run a task next time, whatever has changed",
    "ignore": "skip a task until it is forgotten",
}
#: Options whose values are files or folders.
PATHS = frozenset({"folder", "source", "output", "code-quality", "junit", "status"})


class CompletedTask(Struct, frozen=True):
    """A task: its name, its line in `doit list`, its options."""

    name: str
    line: str
    options: Sequence[Option]


def takes_path(option: Option) -> bool:
    return not option.is_flag and option.name in PATHS


# --- bash: 3.2 (as macOS has it) and later ------------------------------------------------------------

_BASH = r"""# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=bash

_nimbus_doit() {
    if ! [[ -d .nimbus ]] && ! grep -qs nimbus_tasks dodo.py && ! grep -qs 'loader *= *"nimbus"' pyproject.toml; then
        [[ -z $_nimbus_doit_before ]] || "$_nimbus_doit_before" "$@"
        return
    fi
    # The words as typed: bash would also break them at colons and equals signs.
    local typed=${COMP_LINE:0:COMP_POINT} current= task= options= found=() word own= cut=
    local -a words
    read -ra words <<< "$typed"
    if [[ $typed != *[[:space:]] ]]; then
        current=${words[${#words[@]}-1]}
        unset "words[${#words[@]}-1]"
    fi
    local tasks='@TASKS@'
    for word in "${words[@]:1}"; do
        [[ " $tasks " == *" $word "* ]] && task=$word
    done
    case $task in
@OPTIONS@
    esac
    case "$task $current" in
@VALUES@
    *" -"*)
        found=($(compgen -W "$options" -- "$current"))
        ;;
    *)
        # The user's own tasks, read from the dodo.py.
        if [[ -r dodo.py ]]; then
            while IFS= read -r word; do
                [[ $word =~ ^def\ task_([A-Za-z0-9_]+) ]] && own+=" ${BASH_REMATCH[1]}"
            done < dodo.py
        fi
        [[ ${#words[@]} -gt 1 ]] || own+=' @COMMANDS@'
        found=($(compgen -W "$tasks$own" -- "$current"))
        ;;
    esac
    # In a word with a colon, bash replaces only what follows the last one.
    local breaks=
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
    [[ -n $breaks && $current == *[$breaks]* ]] && cut=${current%"${current##*[$breaks]}"}
    COMPREPLY=()
    for word in "${found[@]}"; do
        COMPREPLY+=("${word#"$cut"}")
    done
    if [[ ${#found[@]} -eq 1 && ${found[0]} == *= ]] && type compopt > /dev/null 2>&1; then
        compopt -o nospace
    fi
}

# The earlier completion of doit stays in use in folders without Nimbus Tasks.
if [[ $(complete -p doit 2> /dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _nimbus_doit ]]; then
    _nimbus_doit_before=${BASH_REMATCH[1]}
fi
complete -o default -F _nimbus_doit doit
"""


def bash_script(tasks: Sequence[CompletedTask]) -> str:
    values = [_bash_values(task.name, option) for task in tasks for option in task.options if not option.is_flag]
    return (
        _BASH.replace("@TASKS@", " ".join(task.name for task in tasks))
        .replace("@OPTIONS@", "\n".join(f"    {task.name}) options='{_bash_options(task)}' ;;" for task in tasks))
        .replace("@VALUES@", "\n".join(values))
        .replace("@COMMANDS@", " ".join(COMMANDS))
    )


def _bash_options(task: CompletedTask) -> str:
    return " ".join(f"--{option.name}{'' if option.is_flag else '='}" for option in task.options)


def _bash_values(task: str, option: Option) -> str:
    """Return the case of an option's value: its choices, files, or nothing to offer."""
    start = f"--{option.name}="
    if option.choices:
        offered = f"found=($(compgen -P {start} -W '{' '.join(option.choices)}' -- \"${{current#*=}}\"))"
    elif takes_path(option):
        offered = f'found=($(compgen -P {start} -f -- "${{current#*=}}"))'
    else:
        offered = "return"
    return f'    "{task} {start}"*) {offered} ;;'


# --- zsh: a file `_doit` in a folder of `fpath`, or sourced after `compinit` ----------------------------

_ZSH = r"""#compdef doit
# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=zsh

_nimbus_doit_tasks() {
    local -a tasks own
    tasks=(
@TASKS@
    )
    # The user's own tasks, read from the dodo.py.
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

# As the file _doit in a folder of fpath, this is the body of that function; else it is being sourced.
if [[ $funcstack[1] == _doit ]]; then
    _nimbus_doit "$@"
else
    compdef _nimbus_doit doit
fi
"""


def zsh_script(tasks: Sequence[CompletedTask]) -> str:
    return (
        _ZSH.replace("@TASKS@", "\n".join(f"        {_zsh_described(task.name, task.line)}" for task in tasks))
        .replace("@NAMES@", " ".join(task.name for task in tasks))
        .replace("@OPTIONS@", "\n".join(_zsh_options(task) for task in tasks))
        .replace("@COMMANDS@", "\n".join(f"                    {_zsh_described(*each)}" for each in COMMANDS.items()))
    )


def _zsh_options(task: CompletedTask) -> str:
    specs = [_zsh_option(option) for option in task.options] + ["'*:task:_nimbus_doit_tasks'"]
    return f"        {task.name}) _arguments {' '.join(specs)} ;;"


def _zsh_option(option: Option) -> str:
    text = _zsh_escaped(option.help).replace("[", r"\[").replace("]", r"\]")
    if option.is_flag:
        return _zsh_quoted(f"--{option.name}[{text}]")
    action = f"({' '.join(option.choices)})" if option.choices else "_files" if takes_path(option) else " "
    return _zsh_quoted(f"--{option.name}=[{text}]:{option.name}:{action}")


def _zsh_described(name: str, line: str) -> str:
    return _zsh_quoted(f"{_zsh_escaped(name)}:{line}")


def _zsh_escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace(":", r"\:")


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# --- fish: a file `doit.fish` in `~/.config/fish/completions` -------------------------------------------

_FISH = r"""# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=fish

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

# The user's own tasks, read from the dodo.py.
function __nimbus_doit_own
    test -r dodo.py; and string replace -rf '^def task_(\w+).*' '$1' <dodo.py
end

complete -c doit -f -n __nimbus_doit_here -a '(__nimbus_doit_own)' -d 'task of your own'
"""


def fish_script(tasks: Sequence[CompletedTask]) -> str:
    first = "__nimbus_doit_here; and test (count (commandline -opc)) -eq 1"
    lines = [_FISH.replace("@NAMES@", " ".join(task.name for task in tasks))]
    for name, line in COMMANDS.items():
        lines.append(f"complete -c doit -f -n {_fish_quoted(first)} -a {name} -d {_fish_quoted(line)}\n")
    for task in tasks:
        lines.append(f"complete -c doit -f -n __nimbus_doit_here -a {task.name} -d {_fish_quoted(task.line)}\n")
        lines += [f"{_fish_option(task.name, option)}\n" for option in task.options]
    return "".join(lines)


def _fish_option(task: str, option: Option) -> str:
    line = f"complete -c doit -n '__nimbus_doit_task {task}' -l {option.name} -d {_fish_quoted(option.help)}"
    if option.is_flag:
        return line
    if option.choices:
        return f"{line} -x -a {_fish_quoted(' '.join(option.choices))}"
    return f"{line} -r -F" if takes_path(option) else f"{line} -x"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


def completion_script(shell: str, tasks: Mapping[str, tuple[str, Sequence[Option]]]) -> str:
    """Return the script for a shell. `tasks`: line and options by name."""
    return _SCRIPTS[shell]([CompletedTask(name, *about) for name, about in sorted(tasks.items())])
