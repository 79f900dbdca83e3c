"""The store: it answers, it knows us, it holds our project; its clock, its protocol, and what waits in it.

Reading is really tried. So is writing where that changes nothing: the embedded file's lock is taken and given back, and
our gateway is asked to replace a record only if it is what no record is (it answers 412). Cloudflare's REST API and
classic gateways know no such condition: there, only an upload can tell.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv import Swap
from nimbus_tasks.backends.kv.open import KV_FILE, open_http, open_store
from nimbus_tasks.backends.kv.records import decode, read_values
from nimbus_tasks.backends.kv.wire import quote
from nimbus_tasks.cli.doctor.databases import check_database
from nimbus_tasks.cli.doctor.findings import failed, ok, problem, warning
from nimbus_tasks.cli.doctor.judging import judge_clock, judge_protocol
from nimbus_tasks.cli.doctor.queue import check_queue, queue_keys
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import NimbusError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.project.settings import Settings, Target

#: A doctor does not wait as long as an upload: seconds for a connection, for a sign of life, and for all of it.
CONNECT_SECONDS, READ_SECONDS, ALL_SECONDS = 5.0, 8.0, 20.0
#: What no record is, and what a queue is before its first page.
_NO_RECORD, _EMPTY_QUEUE = b"-", b'{"items":[]}'
_NEXT = "Check the address in [target], the network and the target's status page, then run doit nimbus:doctor again."


def check_target(root: Path, settings: Settings) -> list[Finding]:
    """Ask the store that the settings name; the embedded one is a file that must be there already."""
    return asyncio.run(_check(root, settings))


async def _check(root: Path, settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with asyncio.timeout(ALL_SECONDS):
            async for finding in _look(root, settings):
                found.append(finding)  # noqa: PERF401 - what was found before an error is kept
    except TimeoutError:
        found.append(problem("store", f"It did not answer all questions within {ALL_SECONDS:g} s.", _NEXT))
    except TransientError as error:
        found.append(problem("store", error.message, error.next_step or _NEXT))
    except NimbusError as error:
        if not _is_damaged_file(root, settings):
            found.append(failed("store", error))
    return found


def _is_damaged_file(root: Path, settings: Settings) -> bool:
    """Whether the store is a file that is damaged: the look at the databases tells of it, and how to mend it."""
    if settings.target.store != "sqlite":
        return False
    return any(each.level == "problem" for each in check_database("store", root / KV_FILE, ""))


async def _look(root: Path, settings: Settings) -> AsyncIterator[Finding]:
    target = settings.target
    if target.store == "sqlite":
        if not (root / KV_FILE).exists():
            yield ok("store", f"{KV_FILE} is not there yet: the first upload makes it")
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
    """Ask for no record yet: is it there, does it take the credentials, and what time is it there?"""
    http = open_http(root, target)
    try:
        for number, (path, what) in enumerate(_first_paths(target)):
            started = time.time()
            answer = await http.send("GET", path)
            here = (started + time.time()) / 2
            if not number:
                told = _moment(answer.headers.get("date", ""))
                unknown = ok("clock", f"{http.host} does not tell the time: there is nothing to compare with")
                yield unknown if told is None else judge_clock(here, told, http.host)
            # A classic gateway need not know `/`; what it does know is asked next.
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


def _moment(told: str) -> float | None:
    try:
        return parsedate_to_datetime(told).timestamp()
    except ValueError:
        return None


def _judge_gateway(store: Store, target: Target) -> Finding:
    from nimbus_tasks.backends.kv.gateway import PROTOCOL, GatewayStore

    return judge_protocol(store.protocol if isinstance(store, GatewayStore) else 0, PROTOCOL, target.worker_url)


async def _look_into(store: Store, root: Path, settings: Settings) -> AsyncIterator[Finding]:
    project_id = settings.project.id
    key = records.project_key(project_id)
    values = await read_values(store, [key, *queue_keys(root, settings)])
    yield ok("store", f"reading is allowed{'' if key in values else f'; {project_id} is there after its first upload'}")
    if key in values:
        project = decode(key, values.pop(key), _Owned)
        if project.user_id and project.user_id != store.owner and settings.target.store == "gateway":
            told = f"{project_id} belongs to {project.user_id}, and the API key to {store.owner}."
            yield problem("store", told, "Use a key of the project's owner.")
            return
        async for finding in _try_to_write(store, settings, values):
            yield finding
    for finding in check_queue(root, settings, values):
        yield finding


async def _try_to_write(store: Store, settings: Settings, values: Mapping[str, bytes]) -> AsyncIterator[Finding]:
    if settings.target.store == "sqlite":
        return  # its file was tried already
    if not store.traits.atomic:
        yield ok("store", "whether writing is allowed, only an upload can tell: doit upload --limit=1")
        return
    # Should a gateway store it all the same, then what was there.
    key = records.queue_key(settings.project.id)
    if await store.swap([Swap(key, _NO_RECORD, values.get(key, _EMPTY_QUEUE))]):
        told = "The gateway does not compare before it sets: two uploads at once can lose queue items."
        yield warning("store", told, "Deploy ours: doit nimbus:worker:init")
        return
    yield ok("store", "writing is allowed (tried with a condition that nothing meets: nothing was changed)")


class _Owned(msgspec.Struct):
    user_id: str = ""
