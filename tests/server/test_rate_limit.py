"""Rate limits: who is refused, what they are told, and that all processes count together."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deadlines import wait_until
from service_process import ServiceProcess, picture
from warm import run_doit

from nimbus_tasks.model.errors import SettingsError, TransientError
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.project.settings import Server
from nimbus_tasks.server import rate_limit
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.errors import ApiError
from nimbus_tasks.server.rate_limit import (
    Buckets,
    DatabaseBuckets,
    MemoryBuckets,
    Rate,
    RedisBuckets,
    limit,
    open_buckets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = Rate(100, 5)
#: Debian's package, unpacked by `make servers`.
UNPACKED = Path(__file__).parents[2] / ".cache/redis/usr"
LIBRARIES = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, UNPACKED.glob("lib/*-linux-gnu")))}


def _redis() -> str | None:
    """Return the program, where it runs: what was unpacked may lack a library of the system."""
    for name in ("redis-server", "valkey-server", UNPACKED / "bin/redis-server"):
        program = shutil.which(name)
        if program and not subprocess.run([program, "-v"], env=LIBRARIES, capture_output=True, check=False).returncode:
            return program
    return None


REDIS = _redis()


class Clock:
    """A clock that stands still."""

    seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


async def refused(*places: Buckets, user: str = "ann", times: int = 150, rate: Rate = RATE) -> list[ApiError]:
    """Take tokens at once, at several places in turn; return the refusals."""
    asked = (limit(places[number % len(places)], f"upload:{user}", rate, "uploads") for number in range(times))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [answer for answer in answers if answer is not None]  # type: ignore[misc]


async def check_150_at_once(*places: Buckets) -> list[ApiError]:
    errors = await refused(*places)
    assert len(errors) == 50
    assert all(isinstance(error, ApiError) for error in errors), errors
    assert await refused(*places, user="bob", times=5) == []  # another user is not affected
    return errors


async def check_waits(clock: Clock, *places: Buckets) -> None:
    """Check what is told, and that it is true."""
    errors = await check_150_at_once(*places)
    for error in errors:
        told = (error.status, error.code, error.message, error.more, error.headers)
        message = "Too many uploads. Please wait 12s and try again"
        assert told == (429, "rate_limit", message, {"retryAfter": 12}, {"retry-after": "12"})
    clock.seconds += 11.9
    (early,) = await refused(*places, times=1)
    assert early.more == {"retryAfter": 1}
    clock.seconds += 0.1
    assert len(await refused(*places, times=3)) == 2


def test_150_at_once_in_memory() -> None:
    clock = Clock()
    asyncio.run(check_waits(clock, MemoryBuckets(clock)))


def test_150_at_once_in_the_database_from_two_processes(database: Database) -> None:
    clock, other = Clock(), Database(database.url.render_as_string(hide_password=False))
    asyncio.run(check_waits(clock, DatabaseBuckets(database, clock), DatabaseBuckets(other, clock)))
    other.close()


@pytest.mark.parametrize("per_minute", [1, 7, 10, 59, 100_000_000])
def test_after_the_wait_there_is_a_token(database: Database, per_minute: int) -> None:
    clock, rate = Clock(), Rate(1, per_minute)

    async def run() -> None:
        for places in (MemoryBuckets(clock), DatabaseBuckets(database, clock)):
            assert await refused(places, times=1, rate=rate) == []
            (error,) = await refused(places, times=1, rate=rate)
            clock.seconds += error.more["retryAfter"]  # type: ignore[operator]
            assert await refused(places, times=1, rate=rate) == []
            clock.seconds += 10_000_000  # no more than a full bucket comes back
            assert len(await refused(places, times=2, rate=rate)) == 1
            clock.seconds -= 3600  # another machine's clock
            assert len(await refused(places, times=1, rate=rate)) == 1

    asyncio.run(run())


def test_many_users_in_memory_do_not_refill_each_others_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MOST_KNOWN", 10)
    clock = Clock()
    places = MemoryBuckets(clock)

    async def run() -> None:
        await refused(places, times=60)
        for number in range(50):
            await places.take(f"login:{number}", rate_limit.LOGIN)
            clock.seconds += 0.01
        assert len(await refused(places, times=50)) == 10

    asyncio.run(run())


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    if REDIS is None:
        pytest.skip("Redis is not here: make servers")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [REDIS, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=LIBRARIES) as process:
        wait_until(lambda: _answers(port))
        yield process
        process.terminate()


@pytest.fixture
def redis_url(redis: subprocess.Popen[bytes]) -> str:
    assert isinstance(redis.args, list)
    return f"redis://127.0.0.1:{redis.args[redis.args.index('--port') + 1]}/0"


def test_150_at_once_in_redis(redis_url: str) -> None:
    async def run() -> list[ApiError]:
        places = [RedisBuckets(Secret(redis_url)) for _ in range(2)]
        errors = await check_150_at_once(*places)
        for each in places:
            await each.close()
        return errors

    for error in asyncio.run(run()):
        seconds = error.more["retryAfter"]
        assert seconds in (11, 12)  # Redis has its own clock
        message = f"Too many uploads. Please wait {seconds}s and try again"
        assert (error.status, error.message, error.headers) == (429, message, {"retry-after": str(seconds)})


@pytest.mark.parametrize("checks", [False, True])
def test_redis_that_does_not_answer_is_told(checks: bool) -> None:
    async def run() -> None:
        places = RedisBuckets(Secret("redis://127.0.0.1:1/0"))
        try:
            await (places.check() if checks else places.take("one", RATE))
        finally:
            await places.close()

    with pytest.raises(TransientError, match="Redis does not answer"):
        asyncio.run(run())


def test_a_service_that_counts_in_redis_does_not_start_without_it(tmp_path: Path) -> None:
    project = ServiceProcess(tmp_path, REDIS_URL="redis://127.0.0.1:1/0")
    ended = run_doit(["nimbus:serve", "--port=0"], project.folder, project.environment)
    assert (ended.returncode, ended.stderr) == (2, b"")
    assert b"Redis does not answer" in ended.stdout


def test_a_service_is_not_ready_once_redis_is_away(
    tmp_path: Path, redis: subprocess.Popen[bytes], redis_url: str
) -> None:
    with ServiceProcess(tmp_path / "service", "--role=web", REDIS_URL=redis_url) as service:
        client = service.client()
        client.ask(picture()).raise_for_status()
        client.http.get("/readyz").raise_for_status()
        redis.kill()
        redis.wait()
        for path in ("/readyz", "/api/upload-url"):
            answer = client.http.get(path, params=client.describe(picture(1)))
            assert (answer.status_code, answer.json()["code"]) == (503, "network"), path
            assert "Redis" in answer.json()["error"]


def test_where_limits_are_counted(database: Database) -> None:
    redis = Secret("redis://127.0.0.1:1/0")

    def chosen(store: str = "auto", url: Secret | None = None, processes: int = 1) -> type:
        return type(open_buckets(Server(rate_store=store), database, url, processes))  # type: ignore[arg-type]

    assert chosen() is (MemoryBuckets if database.is_sqlite else DatabaseBuckets)
    assert chosen(processes=2) is DatabaseBuckets
    assert chosen(url=redis, processes=2) is RedisBuckets
    assert chosen("database", redis) is DatabaseBuckets
    with pytest.raises(SettingsError, match="needs REDIS_URL"):
        chosen("redis")
    with pytest.raises(SettingsError, match="no address of Redis"):
        chosen("redis", Secret("nonsense"))


def test_two_processes_share_a_limit(web: ServiceProcess) -> None:
    client, other = web.client("user_crowd"), web.client("user_alone")
    with ThreadPoolExecutor(16) as pool:
        answers = [*pool.map(lambda number: client.ask(picture(number)), range(150))]

    assert other.ask(picture()).status_code == 200
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 50
    for answer in refused:
        seconds = answer.json()["retryAfter"]
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(seconds))
        assert 1 <= seconds <= 60
        assert answer.json() == {
            "error": f"Too many uploads. Please wait {seconds}s and try again",
            "code": "rate_limit",
            "retryAfter": seconds,
        }
