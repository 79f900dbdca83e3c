"""nimbus:process in forked processes, so that a hundred kills take seconds, not minutes.

    python processor.py TEMPLATE WORK MODE [NUMBER...]

MODE `steps`: the project in TEMPLATE is copied to WORK/001, 002, ...; in each, a process is killed with SIGKILL just
before its step 1, 2, ... (each call of the store, and of the claims), and another one finishes. MODE `moments`: two
processes are started, and one is killed after so many milliseconds, one number a round. A JSON line tells what became
of each.

The project's `journal` says which pages they begin and end, and when they take and renew which: so whether a page that
was begun twice had been let go of.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scripted_pages
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from warm import preload

from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.processing.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.model.records import QueueEntry

STEPS: list[tuple[Any, str]] = [(SqliteStore, name) for name in ("put", "get", "swap")]
STEPS += [(Leases, name) for name in ("take", "held", "end", "release")]
COMMAND = ["nimbus:process", "--until-empty", "--workers=2"]


def fork(folder: Path, name: str, fatal: int = 0) -> int:
    """Start a process, and return its id."""
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    out = os.open(f"{name}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    note_claims()
    if fatal:
        die_before(fatal)
    # Its own state is of no interest here, and two processes that make the default file at once may fail.
    config = {"backend": "sqlite3", "dep_file": ":memory:"}
    loader = ModuleTaskLoader({"task_nimbus": scripted_pages.task_nimbus, "DOIT_CONFIG": config})
    status = DoitMain(loader).run(COMMAND)
    sys.stdout.flush()
    os._exit(status)


def note_claims() -> None:
    """Note each claim and renewal: `at` is a moment just before it, `given` one just after."""
    take, renew = Leases.take, Leases.renew

    def taking(self: Leases, entries: Iterable[QueueEntry], limit: int) -> list[QueueEntry]:
        at = time.time()
        taken = take(self, entries, limit)
        line = {"what": "claim", "pid": os.getpid(), "at": at, "given": time.time()}
        note(*(line | {"page": entry.page_id} for entry in taken))
        return taken

    def renewing(self: Leases) -> None:
        at = time.time()
        renew(self)
        note({"what": "renew", "pid": os.getpid(), "at": at, "given": time.time()})

    Leases.take, Leases.renew = taking, renewing  # type: ignore[method-assign]


def note(*lines: dict[str, Any]) -> None:
    with open("journal", "ab") as journal:
        journal.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def die_before(fatal: int) -> None:
    """End this process before one of its steps."""
    count = itertools.count(1)

    def watch(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            if next(count) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(owner, name, step)

    for owner, name in STEPS:
        watch(owner, name)


def ended(child: int) -> int:
    return os.waitpid(child, 0)[1]


def steps(template: Path, work: Path) -> None:
    for fatal in itertools.count(1):
        folder = Path(shutil.copytree(template, work / f"{fatal:03d}"))
        killed = fork(folder, "first", fatal)
        first = ended(killed)
        second = ended(fork(folder, "second"))
        tell(folder, killed, os.WIFSIGNALED(first), [second])
        if not os.WIFSIGNALED(first):
            return


def moments(template: Path, work: Path, after: list[str]) -> None:
    for number, milliseconds in enumerate(after):
        folder = Path(shutil.copytree(template, work / f"{number:03d}"))
        victim, other = fork(folder, "victim"), fork(folder, "other")
        time.sleep(int(milliseconds) / 1000)
        os.kill(victim, signal.SIGKILL)
        killed = os.WIFSIGNALED(ended(victim))
        tell(folder, victim, killed, [ended(other)])


def tell(folder: Path, victim: int, killed: bool, statuses: list[int]) -> None:
    result = {"folder": str(folder), "victim": victim, "killed": killed, "statuses": statuses}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    preload()
    # Before the first fork: the project's commands look for it in the working directory, and are made once.
    os.chdir(sys.argv[1])
    import nimbus_tasks.tasks  # noqa: F401

    if sys.argv[3] == "steps":
        steps(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        moments(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:])
