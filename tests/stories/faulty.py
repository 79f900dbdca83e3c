"""Publishes a site again and again while something is wrong, kills each run at a random moment, and looks what is left.

    python faulty.py WORK TARGET [--trials N] [--seed N] [--part I/N] [FAULT...]

TARGET is `cloudflare` (the fake of the REST API) or `gateway` (our Worker on workerd). Of each fault (`fault_table.py`;
all, if none is named) N trials: a site that is published is edited; run 1 meets the fault and is killed; run 2 must end
well; run 3 must send nothing; then the target is judged (`whole.py`). Half of the trials lose the ledger after run 1.
In half of them the fault goes on for two more runs, which may fail. A JSON line tells of each trial, and the folder of
one in which something is wrong stays in WORK: project, output of each run, requests.

A process that has imported everything is forked for each run. No clock decides what is right: it only chooses the
moments of the kills, and ends what hangs.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from deadlines import SECONDS
from fault_table import FAULTS, READ_TIMEOUT
from forked import run
from kit import PROJECT, SETTINGS, Site
from places import Gateway, Place, Rest
from whole import judge

from nimbus_tasks.backends import kv
from nimbus_tasks.backends.kv import cloudflare
from nimbus_tasks.cli.commands.pipeline import Commands
from nimbus_tasks.cli.console import Console
from nimbus_tasks.model import errors
from nimbus_tasks.publishing import plan as request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_table import Fault

TEMPLATE = "template"
#: Runs without a kill, which say how long a run takes under a fault.
UNKILLED = 3
#: The moments of the kills reach so far beyond the end of such a run.
BEYOND = 1.15
#: So many more runs meet the fault, in half of the trials.
LASTING = 2


class Trial(NamedTuple):
    """What became of one trial.

    moment: when run 1 was to be killed, in ms; 0: not at all. first, again, third: exit statuses, -9 for a kill.
    met: how many requests got the fault.
    """

    target: str
    fault: str
    seed: str
    moment: int
    lost_ledger: bool
    first: int
    again: list[int]
    third: int
    met: int
    lost: int
    unqueued: int
    doubled: int
    wrong: list[str]
    folder: str
    seconds: float


# --- one trial ----------------------------------------------------------------------------------------


class Harness:
    """The trials of one process, on one server behind one proxy."""

    def __init__(self, place: Place, work: Path) -> None:
        self._place = place
        self._work = work
        self._seconds: dict[str, list[float]] = {}
        self._template = Site(work / TEMPLATE)
        self._preload()

    def _preload(self) -> None:
        """Publish the template in this very process, so that each run finds imported what is imported late."""
        _write(self._template, self._place.project(TEMPLATE))
        environment = dict(os.environ)
        os.environ.update(self._place.environment(TEMPLATE))
        with contextlib.chdir(self._template.folder), open("before.txt", "w") as said:
            status = perform(Commands(Console(said)))
        os.environ.clear()
        os.environ.update(environment)
        if status or threading.active_count() > 1:
            raise RuntimeError(
                f"The template was published with {status}, {threading.active_count()} threads are left."
            )
        gc.collect()
        gc.freeze()

    def trials(self, name: str, seed: int, numbers: range) -> Iterator[Trial]:
        """Make the trials of a fault with these numbers, and before them a few in which nothing is killed."""
        for number in [-1 - each for each in range(min(UNKILLED, len(numbers)))] + list(numbers):
            yield self._trial(name, f"{seed}/{number}", killed=number >= 0)

    def _trial(self, name: str, seed: str, *, killed: bool) -> Trial:
        began = time.monotonic()
        place, fault, chance = self._place, FAULTS[name], random.Random(f"{name} {seed}")
        key = f"{name} {seed}"
        project, environment = place.project(key), place.environment(key)
        lose, lasts = chance.random() < 0.5, chance.random() < 0.5
        folder = self._work / f"{name.replace(' ', '-')}-{seed.replace('/', '-')}"
        site = Site(folder)
        place.proxy.set([])
        self._publish_once(site, key)
        _edit(site)
        _settle(site, project, READ_TIMEOUT)
        place.requests()

        faulty = {**environment, **{key: value for key, value in fault.environment.items() if key in environment}}
        place.proxy.set(fault.rules(chance))
        moment = chance.choice(self._seconds[name]) * chance.uniform(0, BEYOND) if killed else 0.0
        first = run(folder, "first", faulty, _upload(fault, fault.disk(chance)), moment)
        if first.status >= 0 or not moment:
            self._seconds.setdefault(name, []).append(first.seconds)
        asked = place.requests()
        if lose:
            site.forget_ledger()
        again: list[int] = []
        while lasts and len(again) < LASTING and again[-1:] != [0]:
            place.proxy.set(fault.rules(chance))
            again.append(run(folder, f"lasting-{len(again)}", faulty, _upload(fault, fault.disk(chance))).status)
        place.proxy.set([])
        _settle(site, project, SECONDS)
        if again[-1:] != [0]:
            again.append(run(folder, "second", environment, _upload(fault)).status)
        asked += place.requests()

        verdict = judge(project, place.content(key), _maps(site))
        third = run(folder, "third", environment, _upload(fault)).status
        sent = place.requests()
        wrong = [*verdict.wrong, *_wrong_ends(first.status, moment, again, third), *_traces(folder)]
        wrong += [f"run 3 sent {each['method']} {each['path']}" for each in sent if each["path"] != "/"]
        told = Trial(
            place.name,
            name,
            seed,
            round(moment * 1000),
            lose,
            first.status,
            again,
            third,
            sum(bool(each["fault"]) for each in asked),
            verdict.lost,
            verdict.unqueued,
            verdict.doubled,
            wrong,
            str(folder) if wrong else "",
            time.monotonic() - began,
        )
        if wrong:
            (folder / "requests.txt").write_text("\n".join(json.dumps(each) for each in asked + sent))
        else:
            shutil.rmtree(folder)
        return told

    def _publish_once(self, site: Site, key: str) -> None:
        shutil.copytree(self._template.folder, site.folder)
        if self._place.copy(site, TEMPLATE, key):
            return
        shutil.rmtree(site.folder)
        _write(site, self._place.project(key))
        status = run(site.folder, "before", self._place.environment(key), _upload(FAULTS["none"])).status
        if status:
            raise RuntimeError(f"Nothing was wrong, and it ended with {status}: {(site / 'before.txt').read_text()}")


def _wrong_ends(first: int, moment: float, again: list[int], third: int) -> Iterator[str]:
    """Say which runs ended as they must not: run 2 has nothing in its way, and run 3 nothing to do."""
    if first == -signal.SIGKILL and not moment:
        yield f"run 1 hangs: killed after {SECONDS:g} s"
    if -signal.SIGKILL in again or third == -signal.SIGKILL:
        yield f"a run hangs: killed after {SECONDS:g} s"
    if again[-1] != 0:
        yield f"run 2 ended with {again[-1]}"
    if third != 0:
        yield f"run 3 ended with {third}"
    yield from (f"a run ended with {each}" for each in (first, *again) if each not in (0, 1, 2, -signal.SIGKILL))


def _traces(folder: Path) -> Iterator[str]:
    for said in sorted(folder.glob("*.txt")):
        if "Traceback" in said.read_text():
            yield f"a traceback in {said.name}"


# --- a run ---------------------------------------------------------------------------------------------


def _upload(fault: Fault, disk: int = 0) -> Callable[[], int]:
    return functools.partial(_upload_under, fault, disk)


def _upload_under(fault: Fault, disk: int) -> int:
    # Small enough that a handful of pages takes several requests. (A Worker says its limits itself.)
    cloudflare.CloudflareStore.limits = kv.Limits(pairs=fault.pairs, bytes=1 << 20, keys=4)
    if disk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
    return perform(Commands(Console()))


def perform(commands: Commands) -> int:
    """Validate and upload, and return the exit status. Extraction is killed elsewhere (`lives.py`)."""
    try:
        return commands.check() or commands.upload(request.Request())
    except errors.NimbusError as error:
        commands.console.fail(str(error))
        return error.exit_status


# --- the site -----------------------------------------------------------------------------------------


def _write(site: Site, project: str) -> None:
    """Make a project with six pages: two batches."""
    site.folder.mkdir(parents=True)
    _settle(site, project, SECONDS)
    for name in "abcdef":
        site.map(name)


def _edit(site: Site) -> None:
    """Change three pages, make two, and remove one: two batches more."""
    for name in "abc":
        site.map(name, engine="edited")
    for name in "gh":
        site.map(name)
    site.remove(".nimbus/maps/f.json")


def _settle(site: Site, project: str, read_timeout: float) -> None:
    """Write the settings: waits are short, batches are small."""
    pace = "[upload]\nretry_wait = 10\nmax_pages_per_batch = 3\n"
    text = SETTINGS.replace(PROJECT, project).replace('folder = "dist"\n', "")
    site.write(".nimbus/project.toml", f"{text}{pace}[target]\nread_timeout = {read_timeout}\n")


def _maps(site: Site) -> list[dict[str, Any]]:
    return [json.loads((site / file).read_bytes()) for file in site.maps()]


# --- the process --------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(target: str, work: Path) -> Iterator[Harness]:
    with (Rest if target == "cloudflare" else Gateway)(work) as place:
        yield Harness(place, work)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("target", choices=["cloudflare", "gateway"])
    parser.add_argument("faults", nargs="*", default=list(FAULTS))
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1")
    asked = parser.parse_intermixed_args(arguments)
    part, parts = map(int, asked.part.split("/"))
    asked.work.mkdir(parents=True, exist_ok=True)
    with started(asked.target, asked.work) as harness:
        for name in asked.faults:
            for trial in harness.trials(name, asked.seed, range(part, asked.trials, parts)):
                sys.stdout.buffer.write(msgspec.json.encode(trial._asdict()) + b"\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
