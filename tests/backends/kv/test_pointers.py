"""Pointers at every store: only a later upload replaces one, whoever writes at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from backends.kv.memory import MemoryStore
from backends.kv.test_store import WAIT, opener
from edge.workerd import needs_workerd

from nimbus_tasks.assets.pointers import all_pointers, plain_metadata, read_pointer, set_pointer, time_of_upload
from nimbus_tasks.backends.http import Http
from nimbus_tasks.backends.kv import Limits, Traits, Write
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.pacing import Pace, Pacing
from nimbus_tasks.backends.kv.retry import RetryStore
from nimbus_tasks.model.assets import Pointer
from nimbus_tasks.model.errors import RefusedError, SettingsError, StoreError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from backends.kv.test_store import Open
    from edge.fake import Fake
    from edge.workerd import Workerd

#: A program that uploads with its clock apart, from the command line: store, url, token, project, group, seconds.
WRITER = """
import asyncio, sys, time
from pathlib import Path
from nimbus_tasks.assets import pointers
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.model.assets import Pointer
from nimbus_tasks.project.secrets import Secret

kind, url, token, project, group, name, apart = sys.argv[1:]
now = time.time
time.time = lambda: now() + float(apart)

async def main():
    if kind == "sqlite":
        store = SqliteStore(Path(url))
    else:
        store = GatewayStore(Http(url, Secret(token), Timeouts(20, 20)), project=project)
    await store.open()
    for number in range(8):
        at = await pointers.time_of_upload(store, group, "daily")
        pointer = Pointer(str(at), {"by": name}, url=f"https://{name}/{number}")
        won = await pointers.set_pointer(store, group, "daily", pointer)
        print(at, int(won), flush=True)
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def group() -> str:
    return f"g{os.urandom(6).hex()}"


@pytest.fixture
def project() -> str:
    return f"proj_{os.urandom(6).hex()}"


@pytest.fixture(params=["sqlite", "memory", "gateway", "classic", "cloudflare", "cloudflare_apart"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, project: str) -> Open:
    if request.param == "gateway":
        workerd: Workerd = request.getfixturevalue("workerd")
        token = workerd.new_key(f"user_{os.urandom(6).hex()}")
        return opened(lambda: GatewayStore(Http(workerd.url, Secret(token), WAIT), project=project))
    if request.param == "cloudflare_apart":
        fake: Fake = request.getfixturevalue("fake")
        own = {"NIMBUS_POINTERS": "c" * 32, "NIMBUS_ASSETS": "d" * 32}
        http = Http(fake.url, Secret(fake.token), WAIT)
        return opened(lambda: CloudflareStore(http, "apart", fake.account, fake.namespace, own))
    return opener(request, request.param, tmp_path)


def opened(make: Any) -> Open:
    @contextlib.asynccontextmanager
    async def open_one() -> AsyncIterator[Any]:
        async with RetryStore(make(), Pace(Pacing()), tries=3, retry_wait=0.01) as store:
            await store.open()
            yield store

    return open_one


def pointer(at: int, cid: str = "bafk", **metadata: Any) -> Pointer:
    return Pointer(str(at), metadata, ipfs_url=f"ipfs://{cid}")


def test_only_a_later_upload_replaces_a_pointer(open_store: Open, group: str) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            assert await read_pointer(store, group, "daily") is None
            assert await set_pointer(store, group, "daily", pointer(5, "b", sha256="b"))
            assert await set_pointer(
                store, group, "daily", pointer(5, "b", sha256="b")
            )  # again, as after a lost answer
            assert not await set_pointer(store, group, "daily", pointer(4, "a"))
            assert not await set_pointer(store, group, "daily", pointer(5, "a"))
            held = await read_pointer(store, group, "daily")
            assert held == pointer(5, "b", sha256="b")
            assert await set_pointer(store, group, "daily", pointer(6, "c"))
            assert (await read_pointer(store, group, "daily")) == pointer(6, "c")

    asyncio.run(scenario())


def test_pointers_are_listed_where_the_store_lists(open_store: Open, group: str, project: str) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            for variant in ("daily", "a-b_c", "0"):
                await set_pointer(store, group, variant, pointer(1))
            await store.put([Write(f"asset:{project}:latest", b"{}")])
            if not store.traits.lists:
                with pytest.raises(StoreError, match="cannot list"):
                    _ = [each async for each in all_pointers(store, group)]
                return
            expected = [(group, variant) for variant in ("0", "a-b_c", "daily")]
            assert [each async for each in all_pointers(store, group)] == expected
            assert [each async for each in all_pointers(store) if each[0] == group] == expected
            assert [name.key for name in (await store.names(f"asset:{project}:")).found] == [f"asset:{project}:latest"]

    asyncio.run(scenario())


def test_an_upload_is_later_than_the_pointer_it_finds_whatever_the_clock_says(open_store: Open, group: str) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await set_pointer(store, group, "daily", pointer(99_999_999_999))
            assert await time_of_upload(store, group, "daily") == 100_000_000_000

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("gateway", marks=needs_workerd)])
def test_two_processes_with_clocks_apart_leave_the_latest(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, group: str, project: str
) -> None:
    if kind == "gateway":
        workerd: Workerd = request.getfixturevalue("workerd")
        url, token = workerd.url, workerd.new_key(f"user_{os.urandom(6).hex()}")
        store: Any = GatewayStore(Http(url, Secret(token), WAIT), project=project)
    else:
        url, token = str(tmp_path / "kv.db"), "none"
        store = opener(request, kind, tmp_path)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, kind, url, token, project, group, name, apart],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, apart in (("ahead", "1000"), ("behind", "-1000"))
    ]
    outputs = [program.communicate(timeout=120)[0] for program in programs]
    assert [program.returncode for program in programs] == [0, 0]
    answers = [tuple(map(int, line.split())) for output in outputs for line in output.splitlines()]
    assert len(answers) == 16

    async def latest() -> Pointer | None:
        if kind == "sqlite":
            async with store() as opened:
                return await read_pointer(opened, group, "daily")
        await store.open()
        try:
            return await read_pointer(store, group, "daily")
        finally:
            await store.close()

    found = asyncio.run(latest())
    assert found
    won = [at for at, was_set in answers if was_set]
    assert found.time == max(won) == max(at for at, _ in answers)
    assert len(won) == len(set(won))


@needs_workerd
def test_a_foreign_pointer_is_refused_in_one_line(workerd: Workerd, group: str, project: str) -> None:
    token = workerd.new_key(f"user_{os.urandom(6).hex()}")

    async def scenario() -> None:
        for named, refused in ((project, False), (f"proj_{os.urandom(6).hex()}", True)):
            async with opened(
                lambda n=named: GatewayStore(Http(workerd.url, Secret(token), WAIT), project=n)
            )() as store:
                if not refused:
                    assert await set_pointer(store, group, "daily", pointer(1))
                    continue
                with pytest.raises(RefusedError, match=f"The pointer {group}:daily:latest belongs to another project"):
                    await set_pointer(store, group, "daily", pointer(2))

    asyncio.run(scenario())


# --- what is no pointer -------------------------------------------------------------------------------


def test_a_value_of_another_program_is_left_alone() -> None:
    store = MemoryStore()
    store.values["g:daily:latest"] = b'"something else"'
    with pytest.raises(StoreError, match="g:daily:latest holds no pointer"):
        asyncio.run(set_pointer(store, "g", "daily", pointer(1)))
    assert store.values == {"g:daily:latest": b'"something else"'}


def test_a_store_without_compare_and_set_says_so() -> None:
    store = MemoryStore(Limits(pairs=1, bytes=1, keys=1), Traits(atomic=False))
    assert asyncio.run(set_pointer(store, "g", "daily", pointer(1)))
    assert "no compare-and-set" in store.warnings[0]


def test_a_pointer_is_small() -> None:
    with pytest.raises(RefusedError, match="takes at most 65,536 bytes"):
        asyncio.run(set_pointer(MemoryStore(), "g", "daily", pointer(1, note="x" * 65_536)))
    with pytest.raises(SettingsError, match="kind of record"):
        asyncio.run(set_pointer(MemoryStore(), "batch", "daily", pointer(1)))


class Scalar:
    """A number of numpy."""

    def item(self) -> float:
        return 1.5


def test_metadata_is_json() -> None:
    assert plain_metadata({"n": Scalar(), "of": (1, 2)}) == {"n": 1.5, "of": [1, 2]}
    for bad in ({"x": object()}, {1: {object()}}, {"x": "x" * 70_000}, {"x": "\ud800"}):
        with pytest.raises(RefusedError):
            plain_metadata(bad)
