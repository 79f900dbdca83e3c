"""What `doit nimbus:completion` does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.cli.completion import bash, fish, zsh
from nimbus_tasks.cli.completion.tasks import completed
from nimbus_tasks.cli.json_output import print_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.cli.option_errors import Option

_SCRIPTS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}


class CompletionScript(Struct, frozen=True):
    """What `doit nimbus:completion --json` prints."""

    shell: str
    script: str


def print_script(shell: str, tasks: Mapping[str, tuple[str, list[Option]]], *, as_json: bool) -> int:
    """Print the script for a shell, and return 0. `tasks`: their lines and options by name."""
    script = _SCRIPTS[shell]([completed(name, *about) for name, about in sorted(tasks.items())])
    if as_json:
        print_document(CompletionScript(shell, script))
    else:
        sys.stdout.write(script)
        sys.stdout.flush()
    return 0
