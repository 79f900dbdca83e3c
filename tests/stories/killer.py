"""Kills a command before each of its steps in turn, and each time lets it run to its end afterwards.

    python killer.py TEMPLATE WORK STEPS LOSE FIRST EVERY COMMAND...

For step FIRST, FIRST + EVERY, ... the project in TEMPLATE is copied to WORK/001, ...; there the command is killed
with SIGKILL just before that step, the databases named in LOSE are removed, and the command runs twice more. STEPS
is `store` (each call of the store and of the ledger) or `files` (each file that extraction and validation read or
replace). A JSON line tells what became of each; the last line is of a run that had no such step any more.

A process that has imported everything is forked for each run: a hundred kills take seconds, not minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from warm import preload

import nimbus_tasks
from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.pipeline import extract as extracting
from nimbus_tasks.pipeline import validate as validating
from nimbus_tasks.project import files
from nimbus_tasks.publishing import queue_parts
from nimbus_tasks.publishing.ledger import Ledger

#: Small enough that a handful of pages takes several requests.
LIMITS = Limits(pairs=2, bytes=1 << 20, keys=2, swaps=2)

STORE_STEPS = [(SqliteStore, name) for name in ("put", "get", "swap", "names")] + [
    (Ledger, name) for name in ("begin", "finish", "confirm", "replace", "open_batch", "close_batch")
]
FILE_STEPS = [(files, "replace"), (files, "remove"), (extracting, "extract_file"), (validating, "validate_file")]


class Steps:
    """Counts the steps of this process and ends it before the one that was chosen."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.number = 0

    def watch(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            self.number += 1
            if self.number == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(owner, name, step)


def keep_a_journal(run: str) -> None:
    """Note the page records that the store has confirmed: one line a put, written at once."""
    put = SqliteStore.put
    journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def noted(self: SqliteStore, writes: Any) -> Any:
        stored = await put(self, writes)
        pages = [write.key for write in writes if write.key.startswith("page:")]
        os.write(journal, json.dumps([run, pages]).encode() + b"\n")
        return stored

    SqliteStore.put = noted  # type: ignore[method-assign]
    SqliteStore.limits = LIMITS
    if room := os.environ.get("QUEUE_ROOM"):
        queue_parts.changed.__kwdefaults__["room"] = int(room)


def run(folder: Path, name: str, command: list[str], steps: list[tuple[Any, str]], fatal: int = 0) -> int:
    """Run a command in a process of its own, and return its status as `waitpid` gives it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    os.chdir(folder)
    out = os.open(f"{name}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    keep_a_journal(name)
    watched = Steps(fatal)
    for owner, step in steps:
        watched.watch(owner, step)
    tasks = {task: getattr(nimbus_tasks, task) for task in nimbus_tasks.__all__}
    status = DoitMain(ModuleTaskLoader(tasks)).run(command)
    sys.stdout.flush()
    os._exit(status)


def main(template: str, work: str, kind: str, lose: str, first_step: str, every: str, *command: str) -> None:
    preload()
    os.chdir(template)
    import nimbus_tasks.tasks  # noqa: F401 - looks for the project in the working directory

    steps = STORE_STEPS if kind == "store" else FILE_STEPS
    for fatal in itertools.count(int(first_step), int(every)):
        folder = Path(work, f"{fatal:03d}")
        shutil.copytree(template, folder)
        first = run(folder, "first", list(command), steps, fatal)
        for database in lose.split(","):
            for file in folder.glob(f".nimbus/{database}.db*") if database else ():
                file.unlink()
        second = run(folder, "second", list(command), steps)
        third = run(folder, "third", list(command), steps)
        killed = os.WIFSIGNALED(first)
        told = {"folder": str(folder), "killed": killed, "statuses": [second, third] + [first] * (not killed)}
        sys.stdout.write(json.dumps(told) + "\n")
        if not killed:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
