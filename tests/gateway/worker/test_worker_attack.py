"""Large bodies from one user take little memory, and do not make other users wait.

`pytest -m soak tests/gateway/worker/test_worker_attack.py` prints the figures of docs/benchmarks.md. With
`NIMBUS_TESTS_WORKER=path/to/src/index.js` it attacks another version of the Worker.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from edge.workerd import Workerd
from worker_requests import kv, new_project, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ATTACK = Path(__file__).parent / "attack.py"
#: Seconds that another user may wait, at the 95th percentile.
LONGEST_WAIT = 0.3
#: MB that workerd may take beyond what it took before.
MOST_MEMORY = 256
#: 0: the Worker closed the connection without reading all of the body.
ANSWERS = {"0", "200", "400", "403", "413", "429"}


class Figures(NamedTuple):
    """What an attack did. wait: the 95th percentile of another user's requests, in s. memory: growth in MB.

    idle: the wait without an attack, which says how busy this machine is.
    """

    wait: float
    idle: float
    memory: float
    requests: int
    answers: Counter[str]

    def __str__(self) -> str:
        wait = f"wait {self.wait:.3f} s (idle {self.idle:.3f} s, {self.requests} requests)"
        return f"{wait}, memory +{self.memory:.0f} MB, answers: {dict(self.answers)}"


#: Method, path, and how the body begins; `{foreign}` is a project of another user.
ATTACKS = {
    "foreign put": ("PUT", "/kv/page%3A{foreign}%3A1", '{"value":"1","junk":['),
    "own put": ("PUT", "/kv/page%3A{own}%3A1", '{"value":"1","junk":['),
    "foreign bulk": ("PUT", "/bulk", '[{"key":"page:{foreign}:1","value":"1"},'),
    "own bulk": ("PUT", "/bulk", '[{"key":"page:{own}:1","value":"1","metadata":{"a":['),
    "swap": ("POST", "/bulk/swap", '{"junk":['),
    "get": ("POST", "/bulk/get", '{"keys":['),
    "greeting": ("GET", "/", "["),
}


@pytest.mark.parametrize("kind", ["own put"])
def test_large_bodies_take_little_memory(tmp_path: Path, kind: str) -> None:
    figures = attack(tmp_path, kind, 8, 4, "told", seconds=0.3)
    assert set(figures.answers) <= ANSWERS
    assert figures.memory < MOST_MEMORY


@pytest.mark.soak
@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize(
    ("megabytes", "at_once", "length"),
    [(8, 1, "told"), (16, 1, "told"), (32, 1, "told"), (64, 1, "told"), (16, 4, "told"), (64, 4, "chunked")],
)
def test_large_bodies_make_no_other_user_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, megabytes: int, at_once: int, length: str
) -> None:
    figures = attack(tmp_path, kind, megabytes, at_once, length, seconds=4)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}, {megabytes} MB x {at_once}, length {length}: {figures} ")
    assert set(figures.answers) <= ANSWERS
    assert figures.memory < MOST_MEMORY
    assert figures.wait < max(LONGEST_WAIT, 5 * figures.idle)


def attack(folder: Path, kind: str, megabytes: int, at_once: int, length: str, seconds: float) -> Figures:
    """Attack a Worker of its own, as it is shipped, and return what that did to another user."""
    own, foreign = new_project(), new_project()
    worker = os.environ.get("NIMBUS_TESTS_WORKER")
    with Workerd(folder, worker=Path(worker) if worker else None) as attacked:
        attacker, key = (attacked.new_key(f"user_{secrets.token_hex(6)}") for _ in range(2))
        with attacked.client(key) as victim, attacked.client(attacker) as first:
            put(victim, f"page:{foreign}:1", "1").raise_for_status()
            put(first, f"page:{own}:1", "1").raise_for_status()
            request = [part.replace("{own}", own).replace("{foreign}", foreign) for part in ATTACKS[kind]]
            command = [sys.executable, str(ATTACK), attacked.url, attacker, *request, str(megabytes), length]
            figures = under(attacked, command, at_once, victim, f"page:{foreign}:1", seconds)
            assert victim.get(kv(f"page:{foreign}:1")).text == "1"
    return figures


def under(worker: Workerd, command: list[str], at_once: int, victim: httpx.Client, key: str, seconds: float) -> Figures:
    """Return what `at_once` attackers do to another user, who reads one page again and again."""
    idle, _ = reading(worker, victim, key, seconds / 2)
    before, answers = memory_of(worker), Counter[str]()
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(attacking(command, answers)) for _ in range(at_once)]
        for each in attackers:
            each.wait()  # until it was answered once
        waits, most = reading(worker, victim, key, seconds)
    return Figures(percentile(waits), percentile(idle), most - before, len(waits), answers)


def reading(worker: Workerd, victim: httpx.Client, key: str, seconds: float) -> tuple[list[float], float]:
    """Return how long each request waited, and the most memory that workerd took meanwhile."""
    waits, most, ends = list[float](), 0.0, time.monotonic() + seconds
    while not waits or time.monotonic() < ends:
        begun = time.monotonic()
        victim.get(kv(key)).raise_for_status()
        waits.append(time.monotonic() - begun)
        most = max(most, memory_of(worker))
        time.sleep(0.005)
    return waits, most


def percentile(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.95)]


@contextlib.contextmanager
def attacking(command: list[str], answers: Counter[str]) -> Iterator[threading.Event]:
    answered = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:

        def listen() -> None:
            for line in attacker.stdout or ():
                answers[line.strip()] += 1
                answered.set()

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield answered
        finally:
            attacker.kill()
            listener.join()


def memory_of(worker: Workerd) -> float:
    """Return the resident memory of workerd, the largest child of its process, in MB."""
    children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children").read_text().split()
    return max(_resident(int(child)) for child in children)


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000
