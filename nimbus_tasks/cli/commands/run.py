"""What the commands of one process share: the console, the pipeline, the last snapshot of the folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.messages import Retries, rate_limited, waiting
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.pipeline.snapshot import take_snapshot
from nimbus_tasks.project.lock import last_held

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nimbus_tasks.backends.kv.open import Connection
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.progress import Progress, ShowProgress
    from nimbus_tasks.pipeline.snapshot import Snapshot


class Run:
    """A run of `doit`: its tasks share one snapshot, so that the folders are read once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pipeline = Pipeline(waiting(console), console.warn_of_record)
        self._snapshot: Snapshot | None = None

    def snapshot(self, *, with_sources: bool = False) -> Snapshot:
        """Return the snapshot of this run; a new one if another process ran a stage (one of `doit -n 2`, say)."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.lock != last_held(Path()) or (with_sources and snapshot.sources is None):
            self._snapshot = snapshot = take_snapshot(self.pipeline.settings)
        return snapshot

    def keep(self, snapshot: Snapshot | None) -> None:
        """Keep the snapshot that a stage left. None: the next stage takes a new one."""
        self._snapshot = snapshot

    def connection(self, concurrency: int | None = None) -> Connection:
        from nimbus_tasks.backends.kv.open import Connection

        return Connection(
            waiting=lambda seconds, why: rate_limited(self.console, seconds, why),
            retrying=Retries(self.console),
            record=self.pipeline.log_request,
            warn=self.pipeline.warn,
            concurrency=concurrency,
        )

    def progress(self, label: str) -> ShowProgress:
        def show(total: int) -> AbstractContextManager[Progress]:
            return self.console.progress(label, total) if total else silently(total)

        return show
