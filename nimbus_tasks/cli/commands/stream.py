"""nimbus:stream: publish pages from standard input, answer each on standard output, return the exit status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.cli import messages
from nimbus_tasks.cli.ci import markdown
from nimbus_tasks.cli.ci_output import CIOutput
from nimbus_tasks.cli.messages.stream import StreamReporter
from nimbus_tasks.cli.stream.input import groups
from nimbus_tasks.cli.stream.publish import add, publish_group, write_reports
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.pipeline.snapshot import scan_maps
from nimbus_tasks.project.secrets import hide_json
from nimbus_tasks.publishing.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.stream.publish import Answer
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.publishing.plan import Request

OK, SOME_FAILED = 0, 1


class StreamCommands:
    """The command of one process."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pipeline = Pipeline(messages.waiting(console))

    def stream(self, request: Request) -> int:
        """Publish the pages on standard input, and answer each on standard output.

        Raises:
            SourceError: the input is not pages, or the reader of the answers has ended.
            NimbusError: nothing could be done.
        """
        self.console.obey(json=True, quiet=False, verbose=False)  # standard output is for the answers
        request = msgspec.structs.replace(request, some=True)
        request.check()
        pipeline = self.pipeline
        total = Outcome(pipeline.settings.target.store, now(), now())
        reporter = StreamReporter(self.console, dry_run=request.dry_run)
        failed = False
        snapshot: Snapshot | None = None
        # Not sys.stdin, and never closed: a thread may wait in it when this process has to end.
        pages = open(0, "rb", closefd=False)  # noqa: SIM115
        with pipeline.uploader(request, reporter.waiting, reporter.retrying) as uploader:
            for group in groups(pages):
                with pipeline.locked("nimbus:stream", snapshot or scan_maps()) as before:
                    answers, outcome, snapshot = publish_group(pipeline, uploader, before, group, request, reporter)
                add(total, outcome)
                for answer in answers:
                    reporter.answered(answer)
                    failed = failed or answer.failed
                _answer(answers)
                if outcome.stopped:
                    break
                # All groups of a stream go into one batch, until it is full.
                batch = total.batches[-1] if total.batches else request.batch
                request = msgspec.structs.replace(request, batch=batch, insist=request.insist and not total.batches)
        if not request.dry_run and (total.pages or total.unchanged):
            with pipeline.locked("nimbus:stream", snapshot or scan_maps()) as snapshot:
                CIOutput(self.console).summarize(markdown.site(write_reports(pipeline, snapshot, total)))
        reporter.end(total)
        return SOME_FAILED if failed or total.stopped else OK


def _answer(answers: Iterable[Answer]) -> None:
    lines = b"".join(hide_json(msgspec.json.encode(answer)) + b"\n" for answer in answers)
    try:
        sys.stdout.write(lines.decode())
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still unwritten must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SourceError("The program that sent the pages has ended: no one reads the answers.") from None
