"""Pure optimisers run in child processes: what a page does there, however bad, is the failure of this page alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from deadlines import wait_until
from rig import CHANGES, A, B, C, Rig, failing

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.model.records import StatusError
from nimbus_tasks.processing import cpu_pool
from nimbus_tasks.processing.cpu_pool import CpuPool
from nimbus_tasks.processing.optimise import Optimised, Page
from nimbus_tasks.processing.optimise.errors import TemporaryError
from nimbus_tasks.project.scan import cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def endless(_: Page) -> None:
    while True:
        # As a bad pattern does: one call that never comes back to Python.
        re.match(r"(a|a)*$", "a" * 10_000_000 + "b")


def killed(_: Page) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def broken(_: Page) -> None:
    failing("refused", final=True)()


class Pure:
    """An optimiser that is a pure function, but for one page."""

    name = "pure"

    def __init__(self, page_id: str, act: Callable[[Page], None]) -> None:
        self._page_id, self._act = page_id, act

    def improve(self, page: Page) -> Optimised:
        if page.page_id == self._page_id:
            self._act(page)
        return Optimised(CHANGES, 0.5, "pure")

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("act", "code", "message"),
    [
        (endless, "timeout", "It took more than 0.1 s of processor time. Split the page, or exclude it"),
        (killed, "crashed", "The process that optimised it was killed by SIGKILL. Is there enough memory?"),
    ],
    ids=["endless", "killed"],
)
def test_a_page_that_takes_too_long_or_kills_its_process_fails_alone_after_the_usual_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Page], None], code: str, message: str
) -> None:
    monkeypatch.setattr(cpu_pool, "PATIENCE", 600)  # a busy machine gives it so little of a second
    rig = Rig(tmp_path, retry_delays=(0.0, 0.0), workers=3)
    rig.optimiser, rig.cpu_seconds = Pure(B, act), 0.1
    pages = rig.work(until_empty=True).pages
    assert [page.ending for page in pages if page.page_id == B] == ["requeued", "requeued", "failed"]
    assert [(page.page_id, page.ending) for page in pages if page.page_id != B] in (
        [(A, "done"), (C, "done")],
        [(C, "done"), (A, "done")],
    ), "nothing is thrown away"
    error = rig.status(B).error
    assert isinstance(error, StatusError)
    assert (error.code, rig.queue()) == (code, {})
    assert error.message.startswith(message)
    assert (rig.batch().pages[A].status, rig.batch().pages[B].status) == ("done", "failed")


def test_an_error_in_a_child_is_that_of_its_page(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.optimiser = Pure(B, broken)
    assert rig.work(once=True).endings() == {A: "done", B: "failed", C: "done"}
    assert rig.status(B).error.code == "refused"


def test_children_are_forked_before_the_leases_have_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fork, start = os.fork, threading.Thread.start

    def forked() -> int:
        order.append("fork")
        return fork()

    def started(thread: threading.Thread) -> None:
        order.append(thread.name)
        start(thread)

    monkeypatch.setattr(os, "fork", forked)
    monkeypatch.setattr(threading.Thread, "start", started)
    rig = Rig(tmp_path)
    rig.optimiser = Pure("", endless)
    rig.work(until_empty=True)
    assert order == ["fork"] * min(rig.chosen.workers, cores()) + ["renew leases"]


# --- the pool -----------------------------------------------------------------------------------------


def told(message: bytes) -> bytes:
    """Return the id of this process, after what the message says."""
    if message.startswith(b"wait"):
        time.sleep(3600)
    if message.startswith(b"work"):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    return str(os.getpid()).encode() + message[4:]


def is_there(pid: bytes) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_children_share_the_work_and_end_with_the_pool() -> None:
    async def run() -> None:
        pool = CpuPool(told, 20, most=2)
        alone = [await pool.run(b"work") for _ in range(3)]
        assert len(set(alone)) == 1, "one page at a time needs one process"
        together = await asyncio.gather(*(pool.run(b"work") for _ in range(8)))
        assert len(set(together)) == min(2, cores())
        waiting = asyncio.ensure_future(pool.run(b"wait"))
        await asyncio.sleep(0)
        pool.close()
        assert not any(map(is_there, together))
        waiting.cancel()

    asyncio.run(run())


def test_large_messages_pass_and_the_loop_goes_on_meanwhile() -> None:
    async def run() -> None:
        pool = CpuPool(told, 20, most=1)
        with contextlib.closing(pool):
            large = b"x" * 5_000_000
            working = asyncio.gather(*(pool.run(b"work" + large) for _ in range(5)))
            turns = 0
            while not working.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 10
            assert all(answer.endswith(large) for answer in await working)

    asyncio.run(run())


def test_a_child_that_waits_for_ever_is_killed_and_what_was_behind_it_is_done() -> None:
    async def run() -> None:
        with contextlib.closing(CpuPool(told, 0.02, most=1)) as pool:
            stuck, behind = await asyncio.gather(pool.run(b"wait"), pool.run(b"    "), return_exceptions=True)
            assert isinstance(stuck, TemporaryError)
            assert stuck.code == "timeout"
            assert stuck.message == "No answer within 0.2 s."
            assert isinstance(behind, bytes)

    asyncio.run(run())


def test_a_machine_without_room_for_a_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def run() -> None:
        await CpuPool(told, 20).run(b"    ")

    monkeypatch.setattr(os, "fork", refused)
    with pytest.raises(StateError, match=r"No process can be started: .* Is there enough memory\?"):
        asyncio.run(run())


def test_children_ignore_signals_of_the_terminal_and_end_with_a_parent_that_is_killed() -> None:
    code = """if True:
        import asyncio, contextlib, os, sys
        sys.path.insert(0, sys.argv[1])
        from test_cpu_pool import CpuPool, told

        async def run():
            pool = CpuPool(told, 20)
            print((await pool.run(b"    ")).decode(), flush=True)
            await asyncio.sleep(3600)

        asyncio.run(run())
    """

    async def run() -> None:
        parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, os.path.dirname(__file__)),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert parent.stdout is not None
        child = (await parent.stdout.readline()).strip()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(int(child), number)
        assert is_there(child)
        parent.kill()
        assert await parent.stdout.read() == b"", "the child has none of its parent's files"
        await parent.wait()
        wait_until(lambda: not is_there(child) or is_zombie(child))

    asyncio.run(run())


def is_zombie(pid: bytes) -> bool:
    """Return whether a process has ended, and whoever adopted it has not noticed yet."""
    try:
        with open(f"/proc/{int(pid)}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except FileNotFoundError:
        return True
