"""What nimbus:process does and says; it returns the exit status."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.cli.json_output import print_document
from nimbus_tasks.cli.messages import process as words
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.processing.totals import Totals
from nimbus_tasks.project.settings import MOST_WORKERS, ProcessSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.records import ProjectSettings
    from nimbus_tasks.pipeline.pipeline import Pipeline
    from nimbus_tasks.processing.optimise import Optimiser

OK, SOME_FAILED, NOTHING_DONE = 0, 1, 2


class ProcessCommands:
    """The command of one process, over one pipeline and one console."""

    def __init__(
        self,
        console: Console,
        pipeline: Pipeline,
        chosen: ProcessSettings | None = None,
        make_optimiser: Callable[[Store, ProjectSettings], Awaitable[Optimiser]] | None = None,
    ) -> None:
        """`make_optimiser`: another optimiser than the settings name."""
        self.console = console
        self.pipeline = pipeline
        self._make_optimiser = make_optimiser
        self._chosen = chosen or ProcessSettings()

    def process(self, *, once: bool, until_empty: bool, workers: int, max_pages: int, as_json: bool) -> int:
        """Take pages from the queue and have them optimised, as far as asked.

        Raises:
            SettingsError: the options cannot be meant, or the settings are not enough.
            StoreError, StateError: the target or the claims cannot be used.
            KeyboardInterrupt: it was told to stop, and has; with the signal that told it.
        """
        from nimbus_tasks.cli.ci.output import CIOutput
        from nimbus_tasks.processing.optimise.factory import OptimiserFactory
        from nimbus_tasks.processing.options import Ask
        from nimbus_tasks.processing.run import Run

        if once and until_empty:
            raise SettingsError(
                "--once and --until-empty cannot both be meant.", "--until-empty waits for later tries."
            )
        if not 0 <= workers <= MOST_WORKERS:
            raise SettingsError(f"--workers={workers} must be 1 to {MOST_WORKERS}.")
        if max_pages < 0:
            raise SettingsError(f"--max-pages={max_pages} is less than nothing.", "0 means: no limit.")
        chosen = msgspec.structs.replace(self._chosen, workers=workers or self._chosen.workers)
        settings = msgspec.structs.replace(self.pipeline.settings, process=chosen)
        totals = Totals(settings.project.id, now())
        with words.Narrator(self.console, totals) as narrator:
            choice = OptimiserFactory(settings, narrator.slowed, self.pipeline.log_request)
            ask = Ask(once, until_empty, max_pages)
            run = Run(settings, ask, self._make_optimiser or choice, narrator, totals, self.pipeline.log_request)
            asyncio.run(run.run())
            totals.spent, totals.overspent = round(choice.spent, 6), round(choice.overspent, 6)
        self.pipeline.log.event("info", "processed", done=totals.done, failed=totals.failed, put_back=totals.put_back)
        words.summary(self.console, totals)
        CIOutput(self.console).summarize(words.section(totals))
        if as_json:
            print_document(totals)
        if totals.interrupted:
            raise KeyboardInterrupt(run.stop.signal)
        return status_of(totals, emptied=until_empty and not max_pages)


def status_of(totals: Totals, *, emptied: bool) -> int:
    """Return the exit status of a run that has ended by itself. `emptied`: it went on until it saw the queue empty."""
    failed = totals.stopped or totals.failed or (totals.some_wait_again and not emptied)
    if failed and not totals.done:
        return NOTHING_DONE
    return SOME_FAILED if failed or totals.overwritten or totals.overspent else OK
