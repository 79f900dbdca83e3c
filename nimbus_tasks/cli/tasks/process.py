"""The task nimbus:process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.tasks.session import command, console, option, optional, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task


def process_tasks() -> Iterator[Task]:
    yield command(
        "nimbus:process",
        _PROCESS_HELP,
        _process,
        params=[
            option("once", False, "process the pages that are due now, then end"),
            option("until_empty", False, "process until the queue is empty, retries included"),
            option("workers", 0, "pages at a time (0: [process] workers, 5 by default)"),
            option("max_pages", 0, "maximum number of pages (0: no limit)"),
            optional("path", "only pages whose source paths match this pattern, as in .gitignore"),
        ],
    )


def _process(path: str | None, **options: Any) -> int:
    from nimbus_tasks.cli.commands.process import ProcessCommands
    from nimbus_tasks.cli.commands.target import text_of

    commands = ProcessCommands(console, pipeline, pipeline.settings.process)
    return commands.process(path=text_of("--path", path), **options)


_PROCESS_HELP = """Take pages from the queue and optimise them, until Ctrl-C

Highest priority first, then oldest first. Several processes on one machine never take the same page. If one is killed,
its pages are taken again when their leases expire. Ctrl-C finishes the pages in work. Failed pages are retried later.

[process] optimiser selects embedded rules, or a model behind an endpoint ([openai]; the key is NIMBUS_AI_KEY). A spent
cap, a wrong key, an empty account or an unreachable endpoint stops the run without counting a try: exit status 1, or 2
if nothing was done.

Examples:
  doit nimbus:process
  doit nimbus:process --once
  doit nimbus:process --until-empty --workers=16
  doit nimbus:process --once --path=dist/blog/
"""
