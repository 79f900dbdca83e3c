"""Commands in messages, as the reader types them.

Messages name commands as `doit` has them. The console replaces them as it prints: by Gulp's names if the Gulp plugin
started us, and by prefixed names (`site:upload`). JSON documents and records keep the names of doit.
"""

from __future__ import annotations

import os
import re
from typing import Protocol

#: In the environment: the program whose commands messages name. `gulp`, or unset for doit.
RUNNER = "NIMBUS_RUNNER"


class Named(Protocol):
    name: str


#: Every task that this process has made. doit may rename them after that: `site:upload` for `upload`.
made: list[Named] = []

#: The stages in Gulp, under names that users tell from their own tasks. `nimbus:upload` is a task of maps alone.
GULP_STAGES = {
    "extract": "nimbus:extract",
    "validate": "nimbus:validate",
    "assets": "nimbus:assets",
    "upload": "nimbus:publish",
    "summarize": "nimbus:summarize",
    "watch": "nimbus:watch",
}
_COMMAND = re.compile(
    r"(?<![\w./:-])doit "
    r"(?P<name>nimbus(?::[a-z]+)+|extract|validate|assets|upload|summarize|watch|list|help [\w:]+)(?![\w/:-]|\.\w)"
    r"|(?:(?<=[Rr]un )|(?<=Next: )|(?<=then ))doit(?=[,.;]|$)"
)


def as_typed(text: str) -> str:
    """Return a message with the commands that its reader can type."""
    return _COMMAND.sub(_typed, text) if "doit" in text else text


def _typed(found: re.Match[str]) -> str:
    name = found["name"]
    if os.environ.get(RUNNER) == "gulp":
        if name and (name == "list" or name.startswith("help ")):
            return "gulp --tasks"
        return f"gulp {GULP_STAGES.get(name or 'summarize', name)}"
    return f"doit {_prefixed(name)}" if name in GULP_STAGES else found[0]


def _prefixed(name: str) -> str:
    """Return a stage's name among the tasks of this process: `site:upload` for `upload` if there is no plain one."""
    names = [task.name for task in made]
    renamed = [each for each in names if each.endswith(f":{name}") and not each.startswith("nimbus:")]
    return renamed[0] if renamed and name not in names else name
