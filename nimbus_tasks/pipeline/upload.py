"""upload: from valid maps to the target. Plans with what that holds, performs the plan, notes the outcome."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv.dry_run import Cost, DryRunStore
from nimbus_tasks.backends.kv.open import Connection, connect
from nimbus_tasks.html.validate import extraction_of
from nimbus_tasks.model.clock import now
from nimbus_tasks.pipeline.validate import candidates
from nimbus_tasks.project.init import project_record
from nimbus_tasks.project.scan import stamp_of
from nimbus_tasks.publishing.batch_records import chosen_batch, close_moved_batches, free_batch_id
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger, target_identity
from nimbus_tasks.publishing.outbox import open_outbox
from nimbus_tasks.publishing.outcome import Outcome
from nimbus_tasks.publishing.page_records import count_proposals
from nimbus_tasks.publishing.plan import Plan, PlanOptions, make_plan, split_into_batches
from nimbus_tasks.publishing.project_record import count_usage
from nimbus_tasks.publishing.reconcile import reconcile
from nimbus_tasks.publishing.upload import Context, UnreadableMapError, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.backends.http import Recorded
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outbox import Sender
    from nimbus_tasks.publishing.outcome import Observer
    from nimbus_tasks.publishing.plan import Candidate, Request


class Uploaded(Struct, frozen=True):
    """The plan that was made, and what became of it: nothing in a dry run, which has what it would cost instead."""

    plan: Plan
    outcome: Outcome
    cost: Cost | None = None


def upload(
    settings: Settings,
    pages: Pages,
    request: Request,
    observer: Observer,
    *,
    unreadable: int = 0,
    record: Callable[[Recorded], None] = lambda _: None,
) -> Uploaded:
    """Bring the target up to date with the valid pages here, or only say what that would take.

    `unreadable` is how many source files could not be read: while there are any, no page counts as gone. `record` is
    told of each request over a network.

    Raises:
        SettingsError: the store or the batch that was asked for does not exist.
        StoreError, StateError: the target or the ledger cannot be used at all.
    """
    done: list[Uploaded] = []

    async def run() -> None:
        done.append(await _upload(settings, pages, request, observer, unreadable, record))

    # Not by its return value: asyncio makes the `repr` of a task's result, which here is the whole site.
    asyncio.run(run())
    return done[0]


async def _upload(
    settings: Settings,
    pages: Pages,
    request: Request,
    observer: Observer,
    unreadable: int,
    record: Callable[[Recorded], None],
) -> Uploaded:
    connection = Connection(
        waiting=observer.waiting, record=record, concurrency=request.concurrency, delay=request.delay
    )
    async with open_outbox(settings, record) as sender, await connect(settings, connection) as store:
        with closing(Ledger(Path(LEDGER_FILE), settings.target.store, dry_run=request.dry_run)) as ledger:
            if not request.dry_run:
                return await _against(store, ledger, settings, pages, request, observer, unreadable, sender)
            dry_run = DryRunStore(store)
            done = await _against(dry_run, ledger, settings, pages, request, observer, unreadable)
            # Nothing happened to any page.
            outcome = msgspec.structs.replace(done.outcome, batches=[], pages=[])
            return Uploaded(done.plan, outcome, dry_run.cost)


async def _against(
    store: Store,
    ledger: Ledger,
    settings: Settings,
    pages: Pages,
    request: Request,
    observer: Observer,
    unreadable: int,
    sender: Sender | None = None,
) -> Uploaded:
    here = candidates(pages)
    formerly = await _believe(store, ledger, settings, here)
    await close_moved_batches(store, ledger, settings.project.id)
    chosen = await chosen_batch(store, ledger, settings.project.id, request)
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    options = PlanOptions(
        force=request.force,
        limit=request.limit,
        remove=request.whole_site,
        max_removals=settings.upload.max_removals,
    )
    failed = len(pages.invalid) + unreadable
    plan = make_plan(here, ledger.held(), options, open_batches=open_batches, failed=failed, formerly=formerly)
    if request.force:
        forced = [planned.page.page_id for planned in plan.sends if planned.reason == "forced"]
        plan = msgspec.structs.replace(plan, proposals=await count_proposals(store, settings.project.id, forced))
    observer.plan(plan)
    context = _context(store, ledger, settings, pages, request)
    if plan.empty and not open_batches:
        outcome = Outcome(settings.target.store, now(), now(), unchanged=plan.unchanged, waiting=len(plan.waits))
        outcome.refusal = plan.refusal
        if not ledger.published:
            await count_usage(context, idle=True)
    else:
        sizes = {batch_id: len(ledger.in_batch(batch_id)) for batch_id in open_batches}
        if chosen:
            sizes.setdefault(chosen, len(ledger.in_batch(chosen)))
        work = split_into_batches(plan, sizes, chosen, settings.upload.max_pages_per_batch)
        ledger.begin(target_identity(store, settings))
        outcome = await publish(plan, work, context, observer)
    if sender is not None and not outcome.stopped:
        # Other machines hear of pages whose batch has a record, never before.
        outcome.stopped = await sender.attempt(store.traits.lag)
    if request.whole_site and _is_complete(outcome):
        ledger.finish(pages.site)
    return Uploaded(plan, outcome)


def _is_complete(outcome: Outcome) -> bool:
    return not (outcome.stopped or outcome.failed or outcome.waiting or outcome.refusal)


async def _believe(store: Store, ledger: Ledger, settings: Settings, here: list[Candidate]) -> frozenset[str]:
    """Ask the target what it holds where the ledger cannot say; return the pages that it used to hold."""
    identity = target_identity(store, settings)
    if ledger.identity == identity:
        return frozenset()
    formerly = frozenset(page_id for page_id, row in ledger.held().items() if row.step != "retired")
    found = await reconcile(store, settings.project.id, {page.page_id: page.source_path for page in here})
    ledger.replace(identity, found.pages, found.batches)
    return formerly


def _context(store: Store, ledger: Ledger, settings: Settings, pages: Pages, request: Request) -> Context:
    async def name_batch() -> str:
        return await free_batch_id(store, ledger, settings.project.id)

    def extraction(page: Candidate) -> msgspec.Raw:
        return _extraction(page, pages)

    return Context(
        project=project_record(settings, store.owner),
        store=store,
        ledger=ledger,
        clock=now,
        name_batch=name_batch,
        extraction=extraction,
        audit_log=settings.audit_log,
        messages=settings.messages,
        slots=settings.upload.concurrency if request.concurrency is None else request.concurrency,
        target=settings.target.store,
    )


def _extraction(page: Candidate, pages: Pages) -> msgspec.Raw:
    """Read a map that was valid a moment ago, and return what its record holds of it."""
    try:
        with open(page.map_file, "rb") as file:
            data = file.read()
            status = os.fstat(file.fileno())
    except OSError as error:
        raise UnreadableMapError(f"{page.map_file} cannot be read: {(error.strerror or '').lower()}") from None
    if stamp_of(status) != pages.entries[page.map_file].stamp:
        raise UnreadableMapError(f"{page.map_file} changed while it was uploaded; run doit upload again")
    return extraction_of(data)
