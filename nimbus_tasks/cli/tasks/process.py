"""The command that works through the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, console, option, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

    from nimbus_tasks.cli.commands.process import ProcessCommands


def process_tasks() -> Iterator[Task]:
    yield command(
        "nimbus:process",
        _PROCESS_HELP,
        lambda **options: _process().process(**options),
        params=[
            option("once", False, "what may be tried now, then end"),
            option("until_empty", False, "until nothing waits at all"),
            option("workers", 0, "pages at a time (0: as in the settings, 5)"),
            option("max_pages", 0, "pages at most (0: no limit)"),
        ],
    )


def _process() -> ProcessCommands:
    from nimbus_tasks.cli.commands.process import ProcessCommands

    return ProcessCommands(console, pipeline, pipeline.settings.process)


_PROCESS_HELP = """Take pages from the queue and have them optimised, until Ctrl-C

Highest priority first, then the oldest. Several of these on one machine never take the same page; one that is killed
gives its pages back when their lease ends, and Ctrl-C finishes those in hand. Failures are tried again later.

[process] optimiser says who optimises: embedded rules, or a model behind an endpoint ([openai]; the key comes from
NIMBUS_AI_KEY). A spent cap, a wrong key, an empty account or an address where nobody answers stop the run, and no page
has had a try: status 1, or 2 if nothing was done.

Examples:
  doit nimbus:process
  doit nimbus:process --once
  doit nimbus:process --until-empty --workers=16
"""
