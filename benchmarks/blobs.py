"""Files to an S3 server (SeaweedFS on this machine), beside boto3 with threads, obstore and rclone.

All put the same files, the same number at a time, each run under a prefix of its own. Processor time is the client's,
without its imports; of rclone it is that of the whole process. The server shares the cores, so rates tell clients apart
only where they differ much.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.sites import SCRATCH
from benchmarks.timing import Figure, Row, against, environment, higher, say, within

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from edge.seaweed import Seaweed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.timing import Size

_PEER = Path(__file__).parent / "peers" / "blobs.py"
SMALL, QUICK_SMALL, LARGE, QUICK_LARGE = 2000, 500, 20, 5
SMALL_BYTES, LARGE_BYTES = 100_000, 50_000_000
_AT_ONCE_MADE = 1_000_000
#: Files at a time.
AT_ONCE, LARGE_AT_ONCE = 16, 3


class Ran(NamedTuple):
    """One run of a client."""

    seconds: float
    cpu: float
    mb: float


class Bench:
    """A server, and files to put there."""

    def __init__(self, work: Path, server: Seaweed) -> None:
        self._work, self._server = work, server
        self._runs = itertools.count()

    def files(self, count: int, size: int) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._work))
        for number in range(count):
            chance = random.Random(number)
            with (folder / f"{number:05}.png").open("wb") as file:
                for start in range(0, size, _AT_ONCE_MADE):  # a process counts its parent's memory as its own
                    file.write(chance.randbytes(min(_AT_ONCE_MADE, size - start)))
        return folder

    def prefix(self) -> str:
        return f"run{next(self._runs)}/"

    def client(self, name: str, task: str, folder: Path, prefix: str, at_once: int) -> Ran:
        command = [sys.executable, str(_PEER), name, task, str(folder), prefix, str(at_once)]
        told = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if told.returncode:
            sys.exit(f"{' '.join(command)}:\n{told.stderr}")
        return Ran(**json.loads(told.stdout))

    def rclone(self, task: str, folder: Path, prefix: str, at_once: int) -> Ran:
        """Put with `rclone copy`, or find out that nothing changed with `rclone sync --checksum`."""
        doing = ["copy", "--ignore-times"] if task == "put" else ["sync", "--checksum"]
        command = ["rclone", *doing, str(folder), f"bench:files/{prefix}", f"--transfers={at_once}", "--quiet"]
        command += [f"--checkers={at_once}", "--s3-no-check-bucket", "--config=/dev/null"]
        began = time.perf_counter()
        with subprocess.Popen(command, env=self._environment()) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        cpu = usage.ru_utime + usage.ru_stime
        return Ran(time.perf_counter() - began, cpu, usage.ru_maxrss / 1024)

    def _environment(self) -> dict[str, str]:
        keys, url = self._server.credentials, self._server.url
        return environment(
            {
                "AWS_ACCESS_KEY_ID": keys.access_key_id,
                "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
                "AWS_ENDPOINT_URL_S3": url,
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "RCLONE_CONFIG_BENCH_TYPE": "s3",
                "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
                "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
                "RCLONE_CONFIG_BENCH_ENDPOINT": url,
            }
        )


@contextlib.contextmanager
def _bench() -> Iterator[Bench]:
    work = Path(tempfile.mkdtemp(prefix="nimbus-bench-", dir=SCRATCH))
    try:
        with Seaweed(work / "server") as server:
            yield Bench(work, server)
    finally:
        shutil.rmtree(work)


def _turns(contenders: dict[str, Callable[[], Ran]], runs: int) -> dict[str, list[Ran]]:
    ran: dict[str, list[Ran]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, measure in contenders.items():
            ran[name].append(measure())
            say(f"  {name}: {ran[name][-1]}")
    return ran


def _rate(ran: list[Ran], files: int) -> Figure:
    return Figure("files/s", tuple(files / each.seconds for each in ran))


def _cpu(ran: list[Ran], files: int) -> Figure:
    return Figure("ms", tuple(1000 * each.cpu / files for each in ran))


def _memory(ran: list[Ran]) -> Figure:
    return Figure("MB", tuple(each.mb for each in ran))


def blobs(size: Size) -> Iterator[Row]:
    """Put many small files, see that nothing changed, and put large ones."""
    with _bench() as bench:
        yield from _small(bench, QUICK_SMALL if size.quick else SMALL, 3)
        yield from _large(bench, QUICK_LARGE if size.quick else LARGE, 3)


def _small(bench: Bench, files: int, runs: int) -> Iterator[Row]:
    say(f"blobs: {files:,} files of 100 kB")
    folder, there = bench.files(files, SMALL_BYTES), bench.prefix()

    def put(name: str) -> Callable[[], Ran]:
        return lambda: bench.client(name, "put", folder, bench.prefix(), AT_ONCE)

    contenders = {name: put(name) for name in ("nimbus", "boto3", "obstore")}
    contenders["rclone"] = lambda: bench.rclone("put", folder, bench.prefix(), AT_ONCE)
    ran = _turns(contenders, runs)
    ours, what = _rate(ran["nimbus"], files), f"{files:,} files of 100 kB"
    yield higher(what, ours, _rate(ran["boto3"], files), "boto3, 16 threads", 1)
    yield higher("the same", ours, _rate(ran["rclone"], files), "rclone copy", 1 / 1.5)
    yield higher("the same", ours, _rate(ran["obstore"], files), "obstore")
    cpu = _cpu(ran["nimbus"], files)
    yield within("processor time of the client, a file", cpu, below=1.5)
    for name in ("boto3", "rclone", "obstore"):
        yield against("the same", cpu, _cpu(ran[name], files), name)
    bench.client("nimbus", "put", folder, there, AT_ONCE)
    mirrored = bench.prefix()
    bench.rclone("put", folder, mirrored, AT_ONCE)
    again = _turns(
        {
            "nimbus": lambda: bench.client("nimbus", "again", folder, there, AT_ONCE),
            "rclone": lambda: bench.rclone("again", folder, mirrored, AT_ONCE),
        },
        runs,
    )
    seconds = {name: Figure("s", tuple(each.seconds for each in each_ran)) for name, each_ran in again.items()}
    yield against("nothing changed, no ledger", seconds["nimbus"], seconds["rclone"], "rclone sync --checksum", 1)


def _large(bench: Bench, files: int, runs: int) -> Iterator[Row]:
    say(f"blobs: {files} files of 50 MB")
    folder = bench.files(files, LARGE_BYTES)
    contenders: dict[str, Callable[[], Ran]] = {
        name: (lambda name=name: bench.client(name, "put", folder, bench.prefix(), LARGE_AT_ONCE))  # type: ignore[misc]
        for name in ("nimbus", "boto3")
    }
    contenders["rclone"] = lambda: bench.rclone("put", folder, bench.prefix(), LARGE_AT_ONCE)
    ran = _turns(contenders, runs)
    rates = {
        name: Figure("MB/s", tuple(files * LARGE_BYTES / 1e6 / each.seconds for each in each_ran))
        for name, each_ran in ran.items()
    }
    fastest = max(("boto3", "rclone"), key=lambda name: rates[name].median)
    yield higher(f"{files} files of 50 MB", rates["nimbus"], rates[fastest], f"{fastest}, the faster of two", 1 / 1.2)
    memory = _memory(ran["nimbus"])
    yield within("peak memory of the client", memory, below=150)
    for name in ("boto3", "rclone"):
        yield against("the same", memory, _memory(ran[name]), name)


BENCHMARKS = {"blobs": blobs}
