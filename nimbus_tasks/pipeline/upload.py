"""upload: from valid maps to the target. Plan against what the target holds, publish, note the outcome."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv.dry_run import Cost, DryRunStore
from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.html.validate import extraction_of
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SourceError, StateError, StoreError
from nimbus_tasks.pipeline.chosen import choose
from nimbus_tasks.pipeline.content import addresses, published_as
from nimbus_tasks.pipeline.snapshot import refuse_unmatched
from nimbus_tasks.pipeline.validate import candidates
from nimbus_tasks.project import files
from nimbus_tasks.project.init import project_record
from nimbus_tasks.project.scan import stamp_of
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.batch_records import chosen_batch, close_moved_batches, free_batch_id
from nimbus_tasks.publishing.compared import PageDiff, diff_pages, find_stamps
from nimbus_tasks.publishing.context import Context, UnreadableMapError
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger, target_identity
from nimbus_tasks.publishing.moves import find_moves
from nimbus_tasks.publishing.outbox import open_outbox
from nimbus_tasks.publishing.outcome import Outcome
from nimbus_tasks.publishing.page_records import count_proposals
from nimbus_tasks.publishing.plan import Plan, PlanOptions, make_plan, split_into_batches
from nimbus_tasks.publishing.project_record import count_usage
from nimbus_tasks.publishing.reconcile import reconcile
from nimbus_tasks.publishing.routes import publish_routes
from nimbus_tasks.publishing.upload import publish

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.backends.kv.retry import RetryStore
    from nimbus_tasks.model.records import Redirect
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outbox import Sender
    from nimbus_tasks.publishing.outcome import Observer
    from nimbus_tasks.publishing.plan import Candidate, Held, Request
    from nimbus_tasks.publishing.routes import Shared


_OLDER_WORKER = "A Worker of an earlier version has no routes: doit nimbus:worker:init, and deploy it."


class Uploaded(Struct, frozen=True):
    """The plan, and what was done. A dry run has no pages and no batches in its outcome, but a cost.

    shared: the addresses that several pages have.
    diffs: how changed pages differ from what the target holds, where that was asked for. some: whether only some pages
    were to be sent.
    """

    plan: Plan
    outcome: Outcome
    cost: Cost | None = None
    shared: Sequence[Shared] = ()
    diffs: Sequence[PageDiff] | UnsetType = UNSET
    some: bool = False


class _Wanted(Struct, frozen=True):
    """What is to be uploaded. redirects: None where they are not known."""

    pages: Pages
    request: Request
    unreadable: int
    redirects: Sequence[Redirect] | None


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
            done.append(await self._upload(_Wanted(pages, request, unreadable, redirects), observer))

        # Not as its return value: asyncio takes the `repr` of a task's result, which here is the whole site.
        self._runner.run(run())
        return done[0]

    async def _upload(self, wanted: _Wanted, observer: Observer) -> Uploaded:
        settings, keep, request = self._settings, False, wanted.request
        async with open_outbox(settings, self._connection.record) as sender:
            self._store = store = self._store or await connect(settings, self._connection)
            try:
                ledger_of = partial(Ledger, Path(LEDGER_FILE), settings.target.store, check=True)
                with closing(ledger_of(dry_run=request.dry_run)) as ledger:
                    if request.dry_run:
                        dry_run = DryRunStore(store)
                        done = await _publish(dry_run, ledger, settings, wanted, observer, None)
                        outcome = msgspec.structs.replace(done.outcome, batches=[], pages=[])  # nothing happened
                        return Uploaded(done.plan, outcome, dry_run.cost, done.shared, done.diffs, done.some)
                    done = await _publish(store, ledger, settings, wanted, observer, sender)
                keep = settings.target.store != "sqlite" and not done.outcome.stopped
            finally:
                if not keep:
                    await self._close_store()
        return done

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()


async def _publish(
    store: Store,
    ledger: Ledger,
    settings: Settings,
    wanted: _Wanted,
    observer: Observer,
    sender: Sender | None,
) -> Uploaded:
    pages, request = wanted.pages, wanted.request
    formerly = await _reconcile_if_unknown(store, ledger, settings, pages)
    await close_moved_batches(store, ledger, settings.project.id, queues=settings.queues)
    chosen = await chosen_batch(store, ledger, settings.project.id, request, queues=settings.queues)
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    options = PlanOptions(
        force=request.force,
        limit=request.limit,
        remove=request.whole_site,
        max_removals=settings.upload.max_removals,
    )
    here, held = _compared(ledger, settings, wanted, open_batches)
    plan = make_plan(
        candidates(here),
        held,
        options,
        open_batches=open_batches,
        failed=len(pages.invalid) + wanted.unreadable,
        invalid={pages.entries[file].page_id for file in pages.invalid},
        formerly=formerly,
        chosen=choose(pages, request.path, settings.source.name),
    )
    others = _count_valid(pages) - _count_valid(here)
    plan = msgspec.structs.replace(plan, unchanged=plan.unchanged + others)
    if request.force:
        forced = (planned.page.page_id for planned in plan.sends if planned.reason == "forced")
        plan = msgspec.structs.replace(plan, proposals=await count_proposals(store, settings.project.id, forced))
    context = _context(store, ledger, settings, wanted)
    plan = msgspec.structs.replace(plan, moves=await find_moves(store, settings.project.id, plan, context.extraction))
    observer.plan(plan)
    site = published_as(settings, pages, wanted.redirects or ())
    # Before the records at the target are replaced. With some of the pages one cannot tell.
    volatile = UNSET if request.some or request.path else await find_stamps(plan, context, settings)
    diffs = await diff_pages(plan, context) if request.diff else UNSET
    if plan.empty and not open_batches:
        outcome = Outcome(settings.target.store, now(), now(), unchanged=plan.unchanged, waiting=len(plan.waits))
        outcome.refusal = plan.refusal
        if not ledger.published or (request.whole_site and ledger.published != site):
            await count_usage(context, idle=True)
    else:
        sizes = {batch_id: ledger.count_in_batch(batch_id) for batch_id in open_batches}
        if chosen:
            sizes.setdefault(chosen, ledger.count_in_batch(chosen))
        work = split_into_batches(plan, sizes, chosen, settings.upload.max_pages_per_batch)
        ledger.begin(target_identity(store, settings))
        outcome = await publish(plan, work, context, observer)
    shared: Sequence[Shared] = ()
    if settings.routes and not outcome.stopped:
        try:
            shared = await publish_routes(context, addresses(settings, pages), whole=request.whole_site)
        except (StoreError, StateError) as error:
            outcome.stopped = str(error)
            if " answered 403 " in outcome.stopped:
                outcome.stopped += f" {_OLDER_WORKER}"
    if sender is not None and not outcome.stopped:
        # Other machines get messages only for pages whose batch has a record.
        outcome.stopped = await sender.attempt(store.traits.lag)
    if request.whole_site and not (outcome.stopped or outcome.failed or outcome.waiting or outcome.refusal):
        ledger.finish(site)
    outcome.volatile = volatile
    return Uploaded(plan, outcome, shared=shared, diffs=diffs, some=bool(request.path))


def _compared(
    ledger: Ledger, settings: Settings, wanted: _Wanted, open_batches: Sequence[str]
) -> tuple[Pages, Iterable[Held]]:
    """Return the pages to compare with what the target holds, and what it holds of them, both in order.

    They are all pages, or the changed ones where the target held the whole site before these changed.
    """
    pages, request = wanted.pages, wanted.request
    if not request.some:
        former = msgspec.structs.replace(pages, site=pages.since)
        changed = {published_as(settings, former, wanted.redirects or ()): pages.changed} if pages.since else {}
        changed[published_as(settings, pages, wanted.redirects or ())] = frozenset()
        if request.force or ledger.published not in changed:
            return pages, ledger.rows()
        pages = pages.only(changed[ledger.published])
    if open_batches:
        return wanted.pages, ledger.rows()
    rows = (ledger.page(each.page_id) for each in candidates(pages))
    return pages, (row for row in rows if row is not None)


def _count_valid(pages: Pages) -> int:
    return len(pages.entries) - len(pages.invalid)


async def _reconcile_if_unknown(store: Store, ledger: Ledger, settings: Settings, pages: Pages) -> Sequence[str]:
    """List the target where the ledger cannot tell what it holds; return the pages that it used to hold."""
    identity = target_identity(store, settings)
    if ledger.identity == identity:
        return ()
    formerly: Spool[str] = Spool(str, (row.page_id for row in ledger.rows() if row.step != "retired"))
    found = await reconcile(store, settings.project.id, pages.paths, queues=settings.queues)
    ledger.replace(identity, found.pages, found.batches)
    return formerly


def _context(store: Store, ledger: Ledger, settings: Settings, wanted: _Wanted) -> Context:
    pages, request = wanted.pages, wanted.request
    project = project_record(settings, store.owner)
    if wanted.redirects is not None:
        project.redirects = list(wanted.redirects)

    async def name_batch() -> str:
        return await free_batch_id(store, ledger, settings.project.id)

    def extraction(page: Candidate) -> msgspec.Raw:
        return _read_extraction(page, pages)

    return Context(
        project=project,
        store=store,
        ledger=ledger,
        clock=now,
        name_batch=name_batch,
        extraction=extraction,
        audit_log=settings.audit_log,
        queues=settings.queues,
        shows_uploads=store.traits.atomic and not request.dry_run,
        messages=settings.messages,
        slots=settings.upload.concurrency if request.concurrency is None else request.concurrency,
        target=settings.target.store,
    )


def _read_extraction(page: Candidate, pages: Pages) -> msgspec.Raw:
    """Read a validated map, and return the part of it that the page record holds."""
    try:
        data, status = files.read_with_status(Path(page.map_file))
    except OSError as error:
        raise UnreadableMapError(f"{page.map_file} cannot be read: {(error.strerror or '').lower()}") from None
    if stamp_of(status) != pages.entries[page.map_file].stamp:
        raise UnreadableMapError(f"{page.map_file} changed while it was uploaded; run doit upload again")
    try:
        return extraction_of(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Its bytes changed and its times did not. With another time, validation reads it again.
        os.utime(page.map_file)
        raise UnreadableMapError(f"{page.map_file} is damaged; run doit upload again") from None
