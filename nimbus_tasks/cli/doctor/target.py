"""Facts about the target: access, the project's owner, clock, protocol, queue and newest batches.

Reading is tried. Writing is tried where that changes nothing: `databases.py` takes the lock of the embedded file and
gives it back, and our gateway is asked for a conditional write whose condition never holds (it answers 412).
Cloudflare's REST API and classic gateways have no conditional writes: there, only an upload can tell.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.open import KV_FILE, open_http, open_store
from nimbus_tasks.backends.kv.records import read_values
from nimbus_tasks.backends.kv.wire import quote
from nimbus_tasks.cli.doctor.databases import check_database, select
from nimbus_tasks.cli.doctor.findings import (
    failed,
    judge_clock,
    judge_failures,
    judge_protocol,
    judge_queue,
    ok,
    problem,
    warning,
)
from nimbus_tasks.model import keys, lenient
from nimbus_tasks.model.errors import NimbusError, TransientError
from nimbus_tasks.model.records import BatchRecord, QueueRecord
from nimbus_tasks.processing.leases import CLAIMS_FILE
from nimbus_tasks.publishing.ledger import LEDGER_FILE
from nimbus_tasks.publishing.queue_record import read_parts, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from pathlib import Path

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.model.records import QueueEntry
    from nimbus_tasks.project.settings import Settings, Target

T = TypeVar("T")

#: How many of the newest batches are read. Paid stores bill each read.
NEWEST = 5

_BATCHES = "SELECT batch_id FROM batch WHERE target = ? AND NOT open ORDER BY created DESC LIMIT ?"
_WORKERS = "SELECT count(DISTINCT worker) FROM claim WHERE NOT ended AND until > CAST(strftime('%s', 'now') AS REAL)"
#: Shorter timeouts than an upload has, in seconds: to connect, to read, and for all requests.
CONNECT_SECONDS, READ_SECONDS, ALL_SECONDS = 5.0, 8.0, 20.0
#: A value that no record has, and the value of an empty queue.
_NO_RECORD, _EMPTY_QUEUE = b"-", b'{"items":[]}'
_NEXT = "Check the address in [target], the network and the target's status page, then run doit nimbus:doctor again."


def check_target(root: Path, settings: Settings) -> list[Finding]:
    """Check the store that the settings name. The embedded one is a file, which must already exist."""
    return concurrency.run(_check(root, settings))


async def _check(root: Path, settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with asyncio.timeout(ALL_SECONDS):
            async for finding in _look(root, settings):
                found.append(finding)  # noqa: PERF401 - findings before an error are kept
    except TimeoutError:
        found.append(problem("store", f"The store did not answer all requests within {ALL_SECONDS:g} s.", _NEXT))
    except TransientError as error:
        found.append(problem("store", error.message, error.next_step or _NEXT))
    except NimbusError as error:
        if not _is_damaged_file(root, settings):
            found.append(failed("store", error))
    return found


def _is_damaged_file(root: Path, settings: Settings) -> bool:
    """Return whether the store is a damaged or read-only file: `check_databases` reports it with its fix."""
    if settings.target.store != "sqlite":
        return False
    return any(each.level == "problem" for each in check_database("store", root / KV_FILE, ""))


async def _look(root: Path, settings: Settings) -> AsyncIterator[Finding]:
    target = settings.target
    if target.store == "sqlite":
        if not (root / KV_FILE).exists():
            yield ok("store", f"{KV_FILE} does not exist yet: the first upload creates it")
            return
    else:
        target = msgspec.structs.replace(
            target,
            connect_timeout=min(target.connect_timeout, CONNECT_SECONDS),
            read_timeout=min(target.read_timeout, READ_SECONDS),
        )
        async for finding in _make_contact(root, target):
            yield finding
    store = open_store(root, target)
    try:
        await store.open()
        if target.store == "gateway":
            yield _judge_gateway(store, target)
        async for finding in _look_into(store, root, settings):
            yield finding
    finally:
        await store.close()


async def _make_contact(root: Path, target: Target) -> AsyncIterator[Finding]:
    """Check that the store answers, accepts the credentials, and agrees on the time."""
    http = open_http(root, target)
    try:
        for number, (path, what) in enumerate(_first_paths(target)):
            started = time.time()
            answer = await http.send("GET", path)
            here = (started + time.time()) / 2
            if not number:
                message = _moment(answer.headers.get("date", ""))
                unknown = ok("clock", f"{http.host} sends no date to compare with")
                yield unknown if message is None else judge_clock(here, message, http.host)
            # A classic gateway need not serve `/`; records are read next.
            if answer.status != 200 and (target.store == "cloudflare" or answer.status != 404):
                raise http.failure(answer, hint=_hint(target))
            yield ok("store", f"{what} answers ({(time.time() - started) * 1000:.0f} ms)")
    finally:
        await http.close()


def _first_paths(target: Target) -> Iterator[tuple[str, str]]:
    if target.store == "gateway":
        yield "/", target.worker_url
        return
    for name, id_ in [("", target.namespace_id), *target.namespaces.items()]:
        if id_:
            path = f"/accounts/{quote(target.account_id)}/storage/kv/namespaces/{quote(id_)}"
            yield path, f"KV namespace {id_}{f' ({name})' if name else ''}"


def _hint(target: Target) -> str:
    if target.store == "gateway":
        return "Check NIMBUS_API_KEY and [target] worker_url; doit nimbus:key:create makes API keys."
    return "Check CLOUDFLARE_API_TOKEN: it needs the permission Workers KV Storage: Edit, for this account."


def _moment(message: str) -> float | None:
    try:
        return parsedate_to_datetime(message).timestamp()
    except ValueError:
        return None


def _judge_gateway(store: Store, target: Target) -> Finding:
    from nimbus_tasks.backends.kv.gateway import PROTOCOL, GatewayStore

    return judge_protocol(store.protocol if isinstance(store, GatewayStore) else 0, PROTOCOL, target.worker_url)


async def _look_into(store: Store, root: Path, settings: Settings) -> AsyncIterator[Finding]:
    project_id = settings.project.id
    key = keys.project_key(project_id)
    values = await read_values(store, [key, *queue_keys(root, settings)])
    later = "" if key in values else f"; {project_id} is there after its first upload"
    yield ok("reading", f"records can be read{later}")
    if key in values:
        findings: list[Finding] = []
        project = _record(key, values.pop(key), _Owned, findings) or _Owned()
        for finding in findings:
            yield finding
        if project.user_id and project.user_id != store.owner and settings.target.store == "gateway":
            message = f"{project_id} belongs to {project.user_id}, and the API key to {store.owner}."
            yield problem("store", message, "Use a key of the project's owner.")
            return
        async for finding in _try_to_write(store, settings, values):
            yield finding
    queue = await read_parts(store, project_id) if settings.queues else None
    parts = {} if queue is None else {keys.queue_key(project_id, part): each for part, each in queue.values.items()}
    for finding in check_queue(root, settings, values | parts):
        yield finding


async def _try_to_write(store: Store, settings: Settings, values: Mapping[str, bytes]) -> AsyncIterator[Finding]:
    if settings.target.store == "sqlite":
        return  # `check_databases` has tried it
    if not store.traits.atomic:
        yield ok("writing", "only an upload can tell whether writing is allowed: doit upload --limit=1")
        return
    # Should a gateway ignore the condition, it writes the value that is there already.
    key = keys.queue_key(settings.project.id)
    if await store.swap([Swap(key, _NO_RECORD, values.get(key, _EMPTY_QUEUE))]):
        message = "The gateway ignores conditions of writes: two uploads at once can lose queue items."
        yield warning("writing", message, "Deploy our Worker: doit nimbus:worker:init")
        return
    yield ok("writing", "records can be written (checked without changing anything)")


class _Owned(msgspec.Struct):
    user_id: str = ""


# --- the queue ----------------------------------------------------------------------------------------


def queue_keys(root: Path, settings: Settings) -> list[str]:
    """Return the keys whose values `check_queue` needs."""
    project_id = settings.project.id
    rows = select(root / LEDGER_FILE, _BATCHES, settings.target.store, NEWEST)
    return [keys.queue_key(project_id), *(keys.batch_key(project_id, str(batch_id)) for (batch_id,) in rows)]


def check_queue(root: Path, settings: Settings, values: Mapping[str, bytes]) -> Iterator[Finding]:
    """Judge the queue (its record, and its shards) and the newest batches."""
    findings: list[Finding] = []
    parts = [_record(key, value, QueueRecord, findings) for key, value in values.items() if key.startswith("queue:")]
    if not settings.queues:
        yield ok("queue", '[process] queue = "none": pages are stored, and not queued for optimisation')
    elif None not in parts:
        queue = whole(part for part in parts if part is not None)
        ((workers,),) = select(root / CLAIMS_FILE, _WORKERS) or [(0,)]
        yield judge_queue(queue.items, _oldest(queue.items), int(workers))
    read = [_record(key, value, BatchRecord, findings) for key, value in values.items() if key.startswith("batch:")]
    yield from findings
    yield from judge_failures([batch for batch in read if batch is not None])


def _record(key: str, value: bytes, shape: type[T], findings: list[Finding]) -> T | None:
    """Return a record if it can be read, and add to `findings` what cannot be read of it."""
    next_step = "Run: doit nimbus:reconcile --repair --dry-run"
    try:
        reading = lenient.read(value, shape, keys.ids_of(key))
    except lenient.MisfitError as error:
        findings.append(warning("records", f"{key} cannot be read: {error}.", next_step))
        return None
    findings += [warning("records", f"A part of {key} cannot be read: {each}.", next_step) for each in reading.skipped]
    return reading.record


def _oldest(entries: Iterable[QueueEntry]) -> float | None:
    """Return the seconds since the first page was queued; None where no entry has a valid time."""
    moments = []
    for entry in entries:
        try:
            moments.append(datetime.fromisoformat(entry.queued_at))
        except ValueError:
            continue
    ages = [(datetime.now(UTC) - moment).total_seconds() for moment in moments if moment.tzinfo is not None]
    return max(ages, default=None)
