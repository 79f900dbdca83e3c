"""One upload: plan against what the target holds, publish, note the outcome."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.backends.kv.dry_run import Cost
from nimbus_tasks.html.validate import extraction_of
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import StateError, StoreError
from nimbus_tasks.pipeline.chosen import choose
from nimbus_tasks.pipeline.content import addresses, published_as
from nimbus_tasks.pipeline.validate import candidates
from nimbus_tasks.project import files
from nimbus_tasks.project.init import project_record
from nimbus_tasks.project.scan import stamp_of
from nimbus_tasks.project.spool import Spool
from nimbus_tasks.publishing.batch_records import chosen_batch, close_moved_batches, free_batch_id
from nimbus_tasks.publishing.compared import PageDiff, diff_pages, find_stamps
from nimbus_tasks.publishing.context import Context, UnreadableMapError
from nimbus_tasks.publishing.ledger import target_identity
from nimbus_tasks.publishing.moves import find_moves
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
    from nimbus_tasks.model.records import Redirect
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.ledger import Ledger
    from nimbus_tasks.publishing.outbox import Sender
    from nimbus_tasks.publishing.outcome import Observer
    from nimbus_tasks.publishing.plan import Candidate, Held, Request
    from nimbus_tasks.publishing.routes import Shared

_OLDER_WORKER = "A Worker of an earlier version has no routes: doit nimbus:worker:init, and deploy it."


class Site(Struct, frozen=True):
    """What is to be uploaded.

    pages: what validation knows of them. unreadable: how many source files could not be read: while there are any, no
    page counts as gone. redirects: None where they are not known: those at the target stay.
    """

    pages: Pages
    unreadable: int = 0
    redirects: Sequence[Redirect] | None = None

    @property
    def valid(self) -> int:
        return len(self.pages.entries) - len(self.pages.invalid)


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


class UploadRun:
    """One upload, or its dry run, with the store and the ledger open."""

    def __init__(self, store: Store, ledger: Ledger, settings: Settings, site: Site, request: Request) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._project_id = settings.project.id
        self._site = site
        self._request = request
        self._context = self._make_context()
        #: What the ledger notes once the target holds the whole site as it is now.
        self._published = self._published_as(site.pages)

    async def run(self, observer: Observer, sender: Sender | None) -> Uploaded:
        """Bring the target up to date. sender: of messages to the queue, if there is one and this is no dry run.

        Raises:
            SettingsError: the chosen batch does not exist.
            StoreError, StateError: the target or the ledger cannot be used at all.
        """
        formerly = await self._reconcile_if_unknown()
        await close_moved_batches(self._store, self._ledger, self._project_id, queues=self._settings.queues)
        open_batches = [batch_id for batch_id, (_, is_open) in self._ledger.batches().items() if is_open]
        plan = await self._plan(open_batches, formerly)
        chosen = await self._chosen_batch(plan)
        observer.plan(plan)
        # Before the records at the target are replaced. With some of the pages one cannot tell.
        is_partial = self._request.some or self._request.path
        volatile = UNSET if is_partial else await find_stamps(plan, self._context, self._settings)
        diffs = await diff_pages(plan, self._context) if self._request.diff else UNSET
        if plan.empty and not open_batches:
            outcome = await self._note_nothing_to_send(plan)
        else:
            outcome = await self._send(plan, open_batches, chosen, observer)
        outcome.volatile = volatile
        shared = await self._publish_routes(outcome)
        if sender is not None and not outcome.stopped:
            # Other machines get messages only for pages whose batch has a record.
            outcome.stopped = await sender.attempt(self._store.traits.lag)
        left = outcome.stopped or outcome.failed or outcome.waiting or outcome.refusal
        if self._request.whole_site and not left:
            self._ledger.finish(self._published)
        return Uploaded(plan, outcome, shared=shared, diffs=diffs, some=bool(self._request.path))

    async def _reconcile_if_unknown(self) -> Sequence[str]:
        """List the target where the ledger cannot tell what it holds; return the pages that it used to hold."""
        identity = target_identity(self._store, self._settings)
        if self._ledger.identity == identity:
            return ()
        formerly: Spool[str] = Spool(str, (row.page_id for row in self._ledger.rows() if row.step != "retired"))
        paths = self._site.pages.paths
        found = await reconcile(self._store, self._project_id, paths, queues=self._settings.queues)
        self._ledger.replace(identity, found.pages, found.batches)
        return formerly

    async def _chosen_batch(self, plan: Plan) -> str:
        """Return the batch that the request names; without anything to send, a watch does not ask for its own."""
        if plan.empty and not self._request.insist:
            return ""
        return await chosen_batch(
            self._store, self._ledger, self._project_id, self._request, queues=self._settings.queues
        )

    async def _plan(self, open_batches: Sequence[str], formerly: Sequence[str]) -> Plan:
        pages, request = self._site.pages, self._request
        here, held = self._compared(open_batches)
        options = PlanOptions(
            force=request.force,
            limit=request.limit,
            remove=request.whole_site,
            max_removals=self._settings.upload.max_removals,
        )
        plan = make_plan(
            candidates(here),
            held,
            options,
            open_batches=open_batches,
            failed=len(pages.invalid) + self._site.unreadable,
            invalid={pages.entries[file].page_id for file in pages.invalid},
            formerly=formerly,
            chosen=choose(pages, request.path, self._settings.source.name),
        )
        others = self._site.valid - Site(here).valid
        plan = msgspec.structs.replace(plan, unchanged=plan.unchanged + others)
        if request.force:
            forced = (planned.page.page_id for planned in plan.sends if planned.reason == "forced")
            proposals = await count_proposals(self._store, self._project_id, forced)
            plan = msgspec.structs.replace(plan, proposals=proposals)
        moves = await find_moves(self._store, self._project_id, plan, self._context.extraction)
        return msgspec.structs.replace(plan, moves=moves)

    def _compared(self, open_batches: Sequence[str]) -> tuple[Pages, Iterable[Held]]:
        """Return the pages to compare with what the target holds, and what it holds of them, both in order.

        They are all pages, or the changed ones where the target held the whole site before these changed.
        """
        pages = self._site.pages
        if not self._request.some:
            former = msgspec.structs.replace(pages, site=pages.since)
            changed = {self._published_as(former): pages.changed} if pages.since else {}
            changed[self._published] = frozenset()
            held = self._ledger.published
            if self._request.force or not held or held not in changed:
                return pages, self._ledger.rows()
            pages = pages.only(changed[held])
        if open_batches:
            return self._site.pages, self._ledger.rows()
        rows = (self._ledger.page(each.page_id) for each in candidates(pages))
        return pages, (row for row in rows if row is not None)

    def _published_as(self, pages: Pages) -> str:
        return published_as(self._settings, pages, self._site.redirects or ())

    async def _note_nothing_to_send(self, plan: Plan) -> Outcome:
        is_noted = self._ledger.published
        if not is_noted or (self._request.whole_site and is_noted != self._published):
            await count_usage(self._context, idle=True)
        target = self._settings.target.store
        outcome = Outcome(target, now(), now(), unchanged=plan.unchanged, waiting=len(plan.waits))
        outcome.refusal = plan.refusal
        return outcome

    async def _send(self, plan: Plan, open_batches: Sequence[str], chosen: str, observer: Observer) -> Outcome:
        batches = dict.fromkeys((*open_batches, *filter(None, (chosen,))))
        sizes = {batch_id: self._ledger.count_in_batch(batch_id) for batch_id in batches}
        work = split_into_batches(plan, sizes, chosen, self._settings.upload.max_pages_per_batch)
        known = [part.batch_id for part in work if part.batch_id]
        self._ledger.begin(target_identity(self._store, self._settings), known, now())
        return await publish(plan, work, self._context, observer, resumes=bool(open_batches))

    async def _publish_routes(self, outcome: Outcome) -> Sequence[Shared]:
        """Publish the addresses of pages; return those that several have. What goes wrong ends in the outcome."""
        if not self._settings.routes or outcome.stopped:
            return ()
        found = addresses(self._settings, self._site.pages)
        try:
            return await publish_routes(self._context, found, whole=self._request.whole_site)
        except (StoreError, StateError) as error:
            outcome.stopped = str(error)
            if " answered 403 " in outcome.stopped:
                outcome.stopped += f" {_OLDER_WORKER}"
            return ()

    def _make_context(self) -> Context:
        settings, request = self._settings, self._request
        project = project_record(settings, self._store.owner)
        if self._site.redirects is not None:
            project.redirects = list(self._site.redirects)

        async def name_batch() -> str:
            return await free_batch_id(self._store, self._ledger, settings.project.id)

        def extraction(page: Candidate) -> msgspec.Raw:
            return _read_extraction(page, self._site.pages)

        return Context(
            project=project,
            store=self._store,
            ledger=self._ledger,
            clock=now,
            name_batch=name_batch,
            extraction=extraction,
            audit_log=settings.audit_log,
            queues=settings.queues,
            shows_uploads=self._store.traits.atomic and not request.dry_run,
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
