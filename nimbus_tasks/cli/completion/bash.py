"""The script for bash, 3.2 (as macOS has it) and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.completion.tasks import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.cli.completion.tasks import Choice, Completed

_SCRIPT = r"""# Completes doit's tasks and their options. Made by: doit nimbus:completion --shell=bash

_nimbus_doit() {
    if ! [[ -d .nimbus ]] && ! grep -qs nimbus_tasks dodo.py && ! grep -qs 'loader *= *"nimbus"' pyproject.toml; then
        [[ -z $_nimbus_doit_before ]] || "$_nimbus_doit_before" "$@"
        return
    fi
    # The words as they are typed: bash would break them at colons and equals signs too.
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
        # Tasks of one's own, as the dodo.py has them.
        if [[ -r dodo.py ]]; then
            while IFS= read -r word; do
                [[ $word =~ ^def\ task_([A-Za-z0-9_]+) ]] && own+=" ${BASH_REMATCH[1]}"
            done < dodo.py
        fi
        [[ ${#words[@]} -gt 1 ]] || own+=' @COMMANDS@'
        found=($(compgen -W "$tasks$own" -- "$current"))
        ;;
    esac
    # Of a word with a colon in it bash replaces what stands behind the last one.
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

# What completed doit before goes on in folders without Nimbus Tasks.
if [[ $(complete -p doit 2> /dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _nimbus_doit ]]; then
    _nimbus_doit_before=${BASH_REMATCH[1]}
fi
complete -o default -F _nimbus_doit doit
"""


def script(tasks: Sequence[Completed]) -> str:
    values = [_values(task.name, option) for task in tasks for option in task.options if option.takes_value]
    return (
        _SCRIPT.replace("@TASKS@", " ".join(task.name for task in tasks))
        .replace("@OPTIONS@", "\n".join(f"    {task.name}) options='{_typed(task)}' ;;" for task in tasks))
        .replace("@VALUES@", "\n".join(values))
        .replace("@COMMANDS@", " ".join(COMMANDS))
    )


def _typed(task: Completed) -> str:
    return " ".join(f"--{option.name}{'=' if option.takes_value else ''}" for option in task.options)


def _values(task: str, option: Choice) -> str:
    """Return the case of an option's value: its choices, files, or nothing to offer."""
    begun = f"--{option.name}="
    if option.choices:
        offered = f"found=($(compgen -P {begun} -W '{' '.join(option.choices)}' -- \"${{current#*=}}\"))"
    elif option.takes_path:
        offered = f'found=($(compgen -P {begun} -f -- "${{current#*=}}"))'
    else:
        offered = "return"
    return f'    "{task} {begun}"*) {offered} ;;'
