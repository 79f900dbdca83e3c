"""The scenarios: a service in a folder of its own, uploads by the page or the client, and what goes wrong meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import Struct

from benchmarks.blobs import Ran
from benchmarks.load.pictures import write_pictures
from benchmarks.load.s3 import AT_ONCE, s3_server
from benchmarks.load.usage import Usage
from benchmarks.timing import Figure, say

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests/server"))
from service_process import DOIT, PROJECT, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

By = Literal["page", "client"]
#: Share of the files that are stored when the service is killed or stopped.
_FAIL_AT = 0.3
#: Uploads of the client, until nothing is left to do.
_MOST_RUNS = 3
_LONGEST = 3600
_LOOK_EVERY = 0.5


class Scenario(Struct, frozen=True):
    """cut: what the page does not reach. killed: the service. frozen: it answers nothing, as without a network.

    s3: bytes go to SeaweedFS, and rclone copies the same files there.
    """

    name: str
    by: By
    users: int = 1
    cut: Literal["", "offline", "store"] = ""
    killed: bool = False
    frozen: bool = False
    s3: bool = False
    settings: str = ""


#: Requests come back so slowly that each chunk of addresses waits.
_LIMITED = "rate_tokens = 2\nrate_per_minute = 20\n"
SCENARIOS = (
    Scenario("happy path", "page"),
    Scenario("happy path", "client"),
    Scenario("S3", "client", s3=True),
    Scenario("service killed", "page", killed=True),
    Scenario("service killed", "client", killed=True),
    Scenario("store cut", "page", cut="store"),
    Scenario("offline", "page", cut="offline"),
    Scenario("offline", "client", frozen=True),
    Scenario("rate limited", "page", settings=_LIMITED),
    Scenario("rate limited", "client", settings=_LIMITED),
    Scenario("three users at once", "page", users=3),
)


class Result(Struct, kw_only=True):
    """What came of one scenario.

    p50, p95, p99: seconds of a file, from its first byte to its record; None: not measured.
    stored, searchable: as the service has them in the end. failures: by class. runs: of the client.
    service_cpu, workers_cpu, client_cpu: seconds of processor time. rclone: with the same files, after them.
    long_tasks: of the page, over 50 ms. choosing_ms: what the browser took before it told the page of its files.
    """

    scenario: str
    by: By
    files: int
    megabytes: int
    load: float
    stored: int
    searchable: int
    seconds_stored: float
    seconds_searchable: float
    p50: float | None
    p95: float | None
    p99: float | None
    failures: dict[str, int]
    service_mb: float
    service_cpu: float
    workers_mb: float
    workers_cpu: float
    client_mb: float | None = None
    client_cpu: float | None = None
    runs: int | None = None
    rclone: Ran | None = None
    tab_mb: float | None = None
    heap_mb: float | None = None
    browser_mb: float | None = None
    longest_task_ms: int | None = None
    long_tasks: int | None = None
    choosing_ms: int | None = None

    @property
    def success(self) -> float:
        return min(self.stored, self.searchable) / self.files


class Load(Struct, frozen=True):
    """How much. outage: seconds of a cut, and of a killed service."""

    files: int
    megabytes: tuple[float, ...]
    outage: float


def run(scenario: Scenario, load: Load, work: Path) -> Result:
    """Run one scenario in an empty folder."""
    each = load.files // scenario.users
    folders = [work / f"pictures-{number}" for number in range(scenario.users)]
    pictures = [write_pictures(folder, each, _distinct(load.megabytes, n)) for n, folder in enumerate(folders)]
    size = sum(file.stat().st_size for files in pictures for file in files)
    say(f"{scenario.name}, {scenario.by}: {each * scenario.users} files, {size / 1e6:,.0f} MB, load {_load():.1f}")
    # A worker that was killed keeps its jobs as long as its lease is.
    settings = f"[server]\nlease = {min(20.0, max(2.0, load.outage))}\n{scenario.settings}"
    with contextlib.ExitStack() as stack:
        s3 = stack.enter_context(s3_server(work)) if scenario.s3 else None
        environment = s3.environment if s3 else {}
        settings += s3.settings if s3 else ""
        service = ServiceProcess(work / "service", f"--port={_free_port()}", settings=settings, **environment)
        began_load = _load()
        stack.enter_context(service)
        usage = stack.enter_context(Usage(lambda: service.process.pid))
        keys = [service.new_key(f"user_{number}") for number in range(scenario.users)]
        trouble = _Trouble(scenario, load, service)
        measure = _by_page if scenario.by == "page" else _by_client
        found = measure(scenario, load, service, folders, keys, trouble)
        held = _held(service)
        if s3:
            found["rclone"] = s3.rclone(folders[0])
    return Result(
        scenario=scenario.name,
        by=scenario.by,
        files=each * scenario.users,
        megabytes=round(size / 1e6),
        load=round(began_load, 1),
        stored=held.stored,
        searchable=held.searchable,
        service_mb=usage.main.mb,
        service_cpu=usage.main.cpu,
        workers_mb=usage.children.mb,
        workers_cpu=usage.children.cpu,
        **found,
    )


class _Trouble:
    """What happens to the service once some of the files are stored."""

    def __init__(self, scenario: Scenario, load: Load, service: ServiceProcess) -> None:
        self._scenario, self._load, self._service = scenario, load, service
        self._thread: threading.Thread | None = None

    def at(self, stored: int) -> None:
        due = stored >= _FAIL_AT * self._load.files
        if self._thread is None and due and (self._scenario.killed or self._scenario.frozen):
            self._thread = threading.Thread(target=self._happen)
            self._thread.start()

    def end(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _happen(self) -> None:
        service, seconds = self._service, self._load.outage
        if self._scenario.killed:
            say(f"  the service is killed, for {seconds:g} s")
            service.stop(signal.SIGKILL)
            time.sleep(seconds)
            service.__enter__()
            return
        say(f"  the service is frozen, for {seconds:g} s")
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        service.process.send_signal(signal.SIGCONT)


# --- through the page ---------------------------------------------------------------------------------------------


def _by_page(
    scenario: Scenario,
    load: Load,
    service: ServiceProcess,
    folders: Sequence[Path],
    keys: Sequence[str],
    trouble: _Trouble,
) -> dict[str, Any]:
    told = {"url": service.url, "keys": keys, "folders": list(map(str, folders))}
    told |= {"cut": scenario.cut, "seconds": load.outage}
    command = ["node", str(Path(__file__).with_name("page.mjs"))]
    environment = os.environ | {"LOAD": json.dumps(told)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        report = _follow(process, trouble)
    trouble.end()
    if report is None:
        raise SystemExit(f"The browser ended with {process.returncode}, without a report.")
    return {
        "seconds_stored": report["seconds_stored"],
        "seconds_searchable": report["seconds_ready"],
        **_percentiles(report["milliseconds"]),
        "failures": report["failures"],
        "tab_mb": report["tab_mb"],
        "heap_mb": report["heap_mb"],
        "browser_mb": report["browser_mb"],
        "longest_task_ms": max(report["long_tasks"], default=0),
        "long_tasks": len(report["long_tasks"]),
        "choosing_ms": report["choosing_ms"],
    }


def _follow(process: subprocess.Popen[str], trouble: _Trouble) -> dict[str, Any] | None:
    """Read what the browser tells until it ends."""
    assert process.stdout is not None
    report, shown = None, -1
    for line in process.stdout:
        told = json.loads(line)
        report = told.get("report", report)
        if "cut" in told:
            say(f"  {told['cut']}")
        if "stored" in told:
            trouble.at(told["stored"])
            tenth = 10 * (told["stored"] + told["searchable"]) // told["total"]
            if tenth != shown:
                shown = tenth
                say(f"  {told['stored']} stored, {told['searchable']} searchable of {told['total']}")
    return report


# --- by the client ------------------------------------------------------------------------------------------------


def _by_client(
    scenario: Scenario,
    load: Load,  # noqa: ARG001 - the same arguments as for the page
    service: ServiceProcess,
    folders: Sequence[Path],
    keys: Sequence[str],
    trouble: _Trouble,
) -> dict[str, Any]:
    home = folders[0].parent
    (home / ".nimbus").mkdir()
    at_once = f"[assets]\nconcurrency = {AT_ONCE}\n" if scenario.s3 else ""
    (home / ".nimbus/project.toml").write_text(PROJECT + at_once)
    (home / "pyproject.toml").write_text('[tool.doit]\nloader = "nimbus"\n')
    command = [DOIT, "nimbus:assets:upload", "--store=server", f"--files={folders[0].name}", "--json", "--quiet"]
    environment = os.environ | {"NIMBUS_SERVICE_URL": service.url, "NIMBUS_SERVICE_KEY": keys[0]}
    began, runs, milliseconds, failures, peak, spent = time.perf_counter(), 0, [], {}, 0.0, 0.0
    while runs < _MOST_RUNS:
        runs += 1
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(command, cwd=home, env=environment, stdout=output) as process,
            Usage(lambda process=process: process.pid) as usage,  # type: ignore[misc]
        ):
            while process.poll() is None:
                trouble.at(_held(service).stored)
                time.sleep(_LOOK_EVERY)
            output.seek(0)
            answer = json.loads(output.read() or b"{}")
        peak, spent = max(peak, usage.main.mb), spent + usage.main.cpu
        milliseconds += [each["ms"] for each in answer.get("results", ()) if each["result"] == "uploaded"]
        failures = answer.get("failures", {})
        if process.returncode == 0:
            break
        trouble.end()
    seconds_stored = time.perf_counter() - began
    trouble.end()
    deadline = time.monotonic() + _LONGEST
    while (held := _held(service)).searchable + held.failed < held.stored and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
    return {
        "seconds_stored": seconds_stored,
        "seconds_searchable": time.perf_counter() - began,
        **_percentiles(milliseconds),
        "failures": {f"failed: {name}": count for name, count in failures.items()},
        "client_mb": peak,
        "client_cpu": spent,
        "runs": runs,
    }


# --- values -------------------------------------------------------------------------------------------------------


class _Held(NamedTuple):
    stored: int
    searchable: int
    failed: int


def _held(service: ServiceProcess) -> _Held:
    """Count what the service has, in its database: also while it is killed."""
    counts = "SELECT count(*), coalesce(sum(embedded), 0), count(failed_at) FROM assets WHERE deleted_at IS NULL"
    with contextlib.closing(sqlite3.connect(service.folder / ".nimbus/server.db")) as database:
        return _Held(*database.execute(counts).fetchone())


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float | None]:
    if not milliseconds:
        return dict.fromkeys(("p50", "p95", "p99"))
    figure = Figure("s", tuple(each / 1000 for each in milliseconds))
    return {f"p{percent}": figure.percentile(percent) for percent in (50, 95, 99)}


def _distinct(megabytes: Sequence[float], user: int) -> list[float]:
    """Return sizes that differ a little for each user, and with them the bytes."""
    return [each + user * 0.001 for each in megabytes]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _load() -> float:
    return os.getloadavg()[0]
