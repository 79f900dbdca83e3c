"""What nimbus:stream does and says; it returns the exit status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.cli import messages as narration
from nimbus_tasks.cli.ci import markdown
from nimbus_tasks.cli.ci_output import CIOutput
from nimbus_tasks.cli.messages.stream import Narrator
from nimbus_tasks.cli.stream.groups import groups
from nimbus_tasks.cli.stream.pipeline import StreamPipeline, add
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.publishing.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.stream.answers import Answer
    from nimbus_tasks.publishing.plan import Request

OK, SOME_FAILED = 0, 1


class StreamCommands:
    """The command of one process, over a pipeline of its own and one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pipeline = StreamPipeline(narration.waiting(console), console.warn)

    def stream(self, request: Request) -> int:
        """Publish the pages on standard input, and answer each on standard output.

        Raises:
            SourceError: what came in are no pages, or nobody reads the answers.
            NimbusError: nothing could be done.
        """
        self.console.obey(json=True, quiet=False, verbose=False)  # standard output is for the answers
        request = msgspec.structs.replace(request, some=True)
        request.check()
        pipeline = self.pipeline
        total = Outcome(pipeline.settings.target.store, now(), now())
        narrator = Narrator(self.console, dry_run=request.dry_run)
        failed = False
        # Not sys.stdin, and never closed: a thread may wait in it when this process has to end.
        pages = open(0, "rb", closefd=False)  # noqa: SIM115
        for group in groups(pages):
            done = pipeline.publish(group, request, narrator)
            add(total, done.outcome)
            for answer in done.answers:
                narrator.answered(answer)
                failed = failed or answer.failed
            _answer(done.answers)
            if done.outcome.stopped:
                break
            # All groups of a stream go into one batch, while that takes pages.
            batch = total.batches[-1] if total.batches else request.batch
            request = msgspec.structs.replace(request, batch=batch, insist=request.insist and not total.batches)
        if not request.dry_run and (total.pages or total.unchanged):
            CIOutput(self.console).summarize(markdown.site(pipeline.report(total)))
        narrator.end(total)
        return SOME_FAILED if failed or total.stopped else OK


def _answer(answers: Iterable[Answer]) -> None:
    lines = b"".join(msgspec.json.encode(answer) + b"\n" for answer in answers)
    try:
        sys.stdout.write(lines.decode())
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still unwritten must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SourceError("Nobody reads the answers any more: the program that sent the pages has ended.") from None
