"""upload: from valid maps to the target. Plans with what that holds, performs the plan, notes the outcome."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks import records
from nimbus_tasks.batches.lifecycle import takes_pages
from nimbus_tasks.closing import count_usage
from nimbus_tasks.context import Context, UnreadableMapError
from nimbus_tasks.errors import SettingsError
from nimbus_tasks.kv import Write
from nimbus_tasks.kv.open import open_steadily
from nimbus_tasks.kv.pacing import Pacing
from nimbus_tasks.kv.rehearsal import Cost, RehearsalStore
from nimbus_tasks.ledger import LEDGER_FILE, Ledger
from nimbus_tasks.outcome import Outcome
from nimbus_tasks.plan import Plan, Wishes, make_plan, split_into_batches
from nimbus_tasks.project import project_key, project_record
from nimbus_tasks.publish import publish
from nimbus_tasks.queues import sender_for
from nimbus_tasks.reading import read_batches
from nimbus_tasks.reconcile import reconcile
from nimbus_tasks.request import Request
from nimbus_tasks.scan import stamp_of
from nimbus_tasks.stages.freshness import now
from nimbus_tasks.stages.validating import candidates
from nimbus_tasks.validate import extraction_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.context import Observer
    from nimbus_tasks.http import Recorded
    from nimbus_tasks.kv import Store
    from nimbus_tasks.manifest import Pages
    from nimbus_tasks.plan import Candidate
    from nimbus_tasks.queues.sending import Sender
    from nimbus_tasks.settings import Settings

#: How many seconds ahead a free batch id is looked for.
BATCH_SECONDS = 3600


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
    async with sender_for(settings, record) as sender:
        store = await open_steadily(Path(), settings, pacing(settings, request), observer.waiting, record)
        try:
            ledger = Ledger(Path(LEDGER_FILE), settings.target.store, rehearsal=request.dry_run)
            try:
                if not request.dry_run:
                    return await _against(store, ledger, settings, pages, request, observer, unreadable, sender)
                rehearsed = RehearsalStore(store)
                done = await _against(rehearsed, ledger, settings, pages, request, observer, unreadable)
                return _as_rehearsed(done, rehearsed.cost)
            finally:
                ledger.close()
        finally:
            await store.close()


def _as_rehearsed(done: Uploaded, cost: Cost) -> Uploaded:
    """Return what a dry run has to say: nothing became of any page."""
    outcome = msgspec.structs.replace(done.outcome, batches=[], pages=[])
    return Uploaded(done.plan, outcome, cost)


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
    await _end_batches(store, ledger, settings.project.id)
    chosen = await _chosen_batch(store, ledger, settings.project.id, request)
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    wishes = Wishes(
        force=request.force,
        limit=request.limit,
        remove=request.whole_site,
        max_removals=settings.upload.max_removals,
    )
    failed = len(pages.invalid) + unreadable
    plan = make_plan(here, ledger.held(), wishes, open_batches=open_batches, failed=failed, formerly=formerly)
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


def target_identity(store: Store, settings: Settings) -> str:
    """Return what a ledger must speak of to be believed: this store, and this project in it."""
    return f"{store.identity} {settings.project.id}"


def pacing(settings: Settings, request: Request) -> Pacing:
    """Return the pace that the settings and the request ask for."""
    return Pacing(
        slots=settings.upload.concurrency if request.concurrency is None else request.concurrency,
        delay=(settings.upload.delay if request.delay is None else request.delay) / 1000,
        give_up_after=settings.upload.give_up_after,
    )


async def _believe(store: Store, ledger: Ledger, settings: Settings, here: list[Candidate]) -> frozenset[str]:
    """Ask the target what it holds where the ledger cannot say; return the pages that it used to hold."""
    identity = target_identity(store, settings)
    if ledger.identity == identity:
        return frozenset()
    formerly = frozenset(page_id for page_id, row in ledger.held().items() if row.step != "inactive")
    found = await reconcile(store, settings.project.id, {page.page_id: page.source_path for page in here})
    ledger.replace(identity, found.pages, found.batches)
    return formerly


async def _end_batches(store: Store, ledger: Ledger, project_id: str) -> None:
    """Close open batches that have moved on at the target: their unfinished pages go into another one."""
    open_batches = [batch_id for batch_id, (_, is_open) in ledger.batches().items() if is_open]
    for batch_id, record in (await read_batches(store, project_id, open_batches)).items():
        if not takes_pages(record.status):
            ledger.close_batch(batch_id)


async def _chosen_batch(store: Store, ledger: Ledger, project_id: str, request: Request) -> str:
    """Return the batch to go on with, if there is such a batch and it takes pages."""
    batch_id = request.batch
    if not batch_id or ledger.batches().get(batch_id, ("", False))[1]:
        return batch_id
    record = (await read_batches(store, project_id, [batch_id])).get(batch_id)
    if record is not None and takes_pages(record.status):
        return batch_id
    if not request.insist:
        return ""
    if record is not None:
        raise SettingsError(f"Batch {batch_id} is {record.status} and takes no more pages.", "Leave out --batch.")
    import difflib  # noqa: PLC0415 - only when something is wrong

    nearest = difflib.get_close_matches(batch_id, ledger.batches(), n=3, cutoff=0)
    hint = f"Closest: {', '.join(nearest)}." if nearest else "There is none yet: leave out --batch."
    raise SettingsError(f"There is no batch {batch_id}.", hint)


def _context(store: Store, ledger: Ledger, settings: Settings, pages: Pages, request: Request) -> Context:
    async def name_batch() -> str:
        return await _free_batch_id(store, ledger, settings.project.id)

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
        slots=pacing(settings, request).slots,
        target=settings.target.store,
    )


async def _free_batch_id(store: Store, ledger: Ledger, project_id: str) -> str:
    """Return the id of this second, or of the next one that no batch has."""
    moment = datetime.now(UTC)
    taken = ledger.batches()
    for second in range(BATCH_SECONDS):
        batch_id = records.batch_id(moment + timedelta(seconds=second))
        if batch_id not in taken:
            key = records.batch_key(project_id, batch_id)
            if key not in await store.get([key]):
                return batch_id
    raise SettingsError("No batch id is free for an hour from now.", "Is this machine's clock right?")


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


def store_project(settings: Settings) -> None:
    """Store the record of a project that has none at the target yet."""

    async def put() -> None:
        store = await open_steadily(Path(), settings, pacing(settings, Request()))
        try:
            key = project_key(settings)
            if key not in await store.get([key]):
                await store.put([Write(key, msgspec.json.encode(project_record(settings, store.owner)))])
        finally:
            await store.close()

    asyncio.run(put())
