"""upload: from valid maps to the target. The store may stay open for the next upload of the same process."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv.dry_run import DryRunStore
from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.snapshot import refuse_unmatched
from nimbus_tasks.pipeline.upload_run import Site, Uploaded, UploadRun
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.publishing.outbox import open_outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.retry import RetryStore
    from nimbus_tasks.model.records import Redirect
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outcome import Observer
    from nimbus_tasks.publishing.plan import Request


class Uploader:
    """Uploads of one process. A remote store stays open from one upload to the next, until a request fails.

    The embedded store is opened for each upload: another program may replace its file in between.
    """

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._runner = concurrency.Runner()
        self._store: RetryStore | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            if self._store is not None:
                self._runner.run(self._close_store())
        finally:
            self._runner.close()

    def upload(
        self,
        pages: Pages,
        request: Request,
        observer: Observer,
        *,
        unreadable: int = 0,
        redirects: Sequence[Redirect] | None = None,
    ) -> Uploaded:
        """Bring the target up to date with the valid pages here; a dry run only plans and counts.

        Args:
            pages: what validation knows of them.
            request: the user's.
            observer: is called as the run goes on.
            unreadable: how many source files could not be read: while there are any, no page counts as gone.
            redirects: of the site; None where they are not known: those at the target stay.

        Raises:
            SourceError: the site, or the folder of maps, has no page.
            SettingsError: the store or the chosen batch does not exist.
            StoreError, StateError: the target or the ledger cannot be used at all.
        """
        if request.folder != MAPS_FOLDER and not len(pages.entries):
            raise SourceError(f"There are no map files (*.json) in {request.folder}.", "Check --folder.")
        if request.whole_site and not pages.entries:
            refuse_unmatched(self._settings.source)
            if folder := self._settings.source.folder:
                fix = f"Build the site, or correct [source] folder in {PROJECT_FILE}."
                raise SourceError(f"There is no page to upload in {folder}.", fix)
            fix = f"If your site is built HTML, set [source] folder in {PROJECT_FILE}."
            raise SourceError(f"There is no page to upload: no tool has written maps to {MAPS_FOLDER}.", fix)
        done: list[Uploaded] = []

        async def run() -> None:
            done.append(await self._upload(Site(pages, unreadable, redirects), request, observer))

        # Not as its return value: asyncio takes the `repr` of a task's result, which here is the whole site.
        self._runner.run(run())
        return done[0]

    async def _upload(self, site: Site, request: Request, observer: Observer) -> Uploaded:
        settings, keep = self._settings, False
        async with open_outbox(settings, self._connection.record) as sender:
            self._store = store = self._store or await connect(settings, self._connection)
            try:
                path = Path(LEDGER_FILE)
                with closing(Ledger(path, settings.target.store, dry_run=request.dry_run, check=True)) as ledger:
                    if request.dry_run:
                        return await _dry_run(store, ledger, settings, site, request, observer)
                    done = await UploadRun(store, ledger, settings, site, request).run(observer, sender)
                keep = settings.target.store != "sqlite" and not done.outcome.stopped
            finally:
                if not keep:
                    await self._close_store()
        return done

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()


async def _dry_run(
    store: Store, ledger: Ledger, settings: Settings, site: Site, request: Request, observer: Observer
) -> Uploaded:
    counting = DryRunStore(store)
    done = await UploadRun(counting, ledger, settings, site, request).run(observer, None)
    nothing_happened = msgspec.structs.replace(done.outcome, batches=[], pages=[])
    return msgspec.structs.replace(done, outcome=nothing_happened, cost=counting.cost)
