"""The command of the service: its name, options, one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, console, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task


def server_tasks() -> Iterator[Task]:
    yield command(
        "nimbus:serve",
        _SERVE_HELP,
        _serve,
        params=[
            option("host", "", "address to listen on (default: from the settings, 127.0.0.1)"),
            option("port", -1, "port to listen on; 0: a free one (default: from the settings, 8788)"),
            option("role", "all", "web: answers requests; worker: works on jobs; all: both (all)"),
            option("workers", 1, "processes (1)"),
        ],
    )


def _serve(host: str, port: int, role: str, workers: int, *, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.server import ServerCommands

    return ServerCommands(console).serve(host, port, role, workers, as_json=as_json)


_SERVE_HELP = """Run the service that takes uploads of images, until Ctrl-C

Clients send bytes straight to the blob store; the service signs and records, and works on the images in the background.
Without settings it needs nothing else: SQLite and a folder in .nimbus. Needs: pip install "nimbus-tasks[server]"

Examples:
  doit nimbus:serve
  doit nimbus:serve --port=0 --json     one line of JSON with its address, once it answers
  doit nimbus:serve --role=web --workers=4
  doit nimbus:serve --role=worker
"""
