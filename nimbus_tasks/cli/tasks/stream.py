"""The command that publishes pages which another program has in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.tasks.pipeline import UPLOAD, request_of
from nimbus_tasks.cli.tasks.session import command, console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

#: How many pages come is for the sender to say, and each is answered: nothing is reported beside that.
_HERE = frozenset({"batch", "concurrency", "delay", "dry_run", "force"})
_DEFAULTS = {option["name"]: option["default"] for option in UPLOAD}


def streaming_tasks() -> Iterator[Task]:
    def stream(as_json: bool, **options: Any) -> int:  # noqa: ARG001 - its answers are JSON, asked for or not
        from nimbus_tasks.cli.commands.stream import StreamCommands

        return StreamCommands(console).stream(request_of(_DEFAULTS | options))

    params = [option for option in UPLOAD if option["name"] in _HERE]
    yield command("nimbus:stream", _STREAM_HELP, stream, params=params)


_STREAM_HELP = """Publish pages from standard input, with an answer to each on standard output

For programs that have pages in memory, such as the Gulp plugin's stream. A page is a line of JSON,
{"path": "dist/about.html", "bytes": 1234}, then that many bytes of HTML. Its answer is a line of JSON: path, page_id,
status (stored, unchanged, skipped, invalid, failed, waiting) and reason. Pages that do not come in stay as they are.
Standard output holds nothing but the answers, with --json or without.

Examples:
  my-generator | doit nimbus:stream
  my-generator | doit nimbus:stream --dry-run
"""
