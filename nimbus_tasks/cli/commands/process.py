"""The command nimbus:process: options in, a run, its summary and exit status out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.cli.commands import NOTHING_DONE, OK, SOME_FAILED, EndedBySignal
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.cli.messages.process import ProcessObserver, section, summary
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


class ProcessCommands:
    """The command, over one pipeline and one console."""

    def __init__(
        self,
        console: Console,
        pipeline: Pipeline,
        chosen: ProcessSettings | None = None,
        make_optimiser: Callable[[Store, ProjectSettings], Awaitable[Optimiser]] | None = None,
    ) -> None:
        """Replace the optimiser of the settings by that of `make_optimiser`."""
        self.console = console
        self.pipeline = pipeline
        self._make_optimiser = make_optimiser
        self._chosen = chosen or ProcessSettings()

    def process(
        self, *, once: bool, until_empty: bool, workers: int, max_pages: int, as_json: bool, path: str = ""
    ) -> int:
        """Take pages from the queue, have them optimised, and return the exit status.

        Raises:
            SettingsError: the options exclude each other, or the settings are not enough.
            StoreError, StateError: the target or the leases cannot be used.
            KeyboardInterrupt: the run was asked to stop and has ended; carries the signal.
        """
        from nimbus_tasks.cli.ci_output import CIOutput
        from nimbus_tasks.processing.optimise.factory import OptimiserFactory
        from nimbus_tasks.processing.options import RunOptions
        from nimbus_tasks.processing.run import Run

        if not self.pipeline.settings.queues:
            raise SettingsError('There is nothing to process: the settings have no queue ([process] queue = "none").')
        if once and until_empty:
            raise SettingsError(
                "--once and --until-empty are mutually exclusive.", "--until-empty also waits for retries."
            )
        if not 0 <= workers <= MOST_WORKERS:
            raise SettingsError(f"--workers={workers} must be 1 to {MOST_WORKERS}.")
        if max_pages < 0:
            raise SettingsError(f"--max-pages={max_pages} must be 0 or more.", "0 sets no limit.")
        pages = self._chosen_pages(path) if path else None
        chosen = msgspec.structs.replace(self._chosen, workers=workers or self._chosen.workers)
        settings = msgspec.structs.replace(self.pipeline.settings, process=chosen)
        totals = Totals(settings.project.id, now())
        with ProcessObserver(self.console, totals) as observer:
            factory = OptimiserFactory(settings, observer.slowed, self.pipeline.log_request)
            options = RunOptions(once, until_empty, max_pages, pages)
            optimiser, pipeline = self._make_optimiser or factory, self.pipeline
            run = Run(settings, options, optimiser, observer, totals, pipeline.log_request, pipeline.warn)
            concurrency.run(run.run())
            totals.spent, totals.overspent = round(factory.spent, 6), round(factory.overspent, 6)
        self.pipeline.log.event("info", "processed", done=totals.done, failed=totals.failed, put_back=totals.put_back)
        summary(self.console, totals)
        CIOutput(self.console).summarize(section(totals))
        give_document(totals, as_json=as_json)
        if totals.interrupted:
            ends_by_itself = once or until_empty or max_pages
            raise (KeyboardInterrupt if ends_by_itself else EndedBySignal)(run.stop.signal)
        return status_of(totals, emptied=until_empty and not max_pages)

    def _chosen_pages(self, path: str) -> frozenset[str]:
        from nimbus_tasks.pipeline.chosen import chosen_ids

        settings = self.pipeline.settings
        if settings.process.queue == "cloudflare-queues":
            raise SettingsError(
                "--path needs the queue record: a Cloudflare Queue hands out pages in its own order.",
                "Leave out --path.",
            )
        return frozenset(chosen_ids(self.pipeline.pages, path, settings.source.name))


def status_of(totals: Totals, *, emptied: bool) -> int:
    """Return the exit status of a run that was not interrupted. `emptied`: it ended because the queue was empty."""
    failed = totals.stopped or totals.failed or (totals.retries_pending and not emptied)
    if failed and not totals.done:
        return NOTHING_DONE
    return SOME_FAILED if failed or totals.overwritten or totals.overspent else OK
