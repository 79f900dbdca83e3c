"""Sites that live through harm: every command is ended again and again, the disk is full, the clock is set.

    python lives.py WORK PLACE [--harms kill,clock,full] [--lives N] [--first N] [--seed N] [--ends N]

PLACE is `sqlite`, `gateway` (our Worker on workerd) or `cloudflare` (the fake of the REST API). In each of N
lives a site is edited, published, processed, retried, applied, watched and published again. Each command is harmed
--ends times, and then runs to its end:

    kill    SIGKILL or SIGTERM, at a random moment or just before the n-th call of the store, the ledger, the claims or
            a file that is replaced
    clock   the same, while the clock is set backwards and forwards, between runs and in the middle of them
    full    the disk has only a few kB left: each site lies on a tmpfs of its own in a mount namespace of this process

Then the target and the site are judged (`whole.py`), and the same command again must leave everything as it is. A JSON
line tells of each life, and the folder of one in which something is wrong stays in WORK. All that is random comes from
the life's own seed: `--seed S --first N --lives 1` is life N again.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "processing"))

from forked import run
from kit import PROJECT, SETTINGS, Site
from places import Embedded, Gateway, Rest
from warm import preload
from whole import judge, wrong_logs

from nimbus_tasks.backends import kv
from nimbus_tasks.backends.kv.cloudflare import CloudflareStore
from nimbus_tasks.backends.kv.gateway import GatewayStore
from nimbus_tasks.backends.kv.sqlite import SqliteStore
from nimbus_tasks.processing.leases import Leases
from nimbus_tasks.project import files
from nimbus_tasks.publishing.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from places import Place
    from whole import Content

PLACES: dict[str, Any] = {"sqlite": Embedded, "gateway": Gateway, "cloudflare": Rest}
HARMS = ("kill", "clock", "full")
#: Small enough that a handful of pages takes several requests. (A Worker says its limits itself.)
LIMITS = kv.Limits(pairs=2, bytes=1 << 20, keys=2, swaps=2)
STORES = (SqliteStore, GatewayStore, CloudflareStore)
SEAMS: list[tuple[Any, str]] = [
    *(
        (store, name)
        for store in (SqliteStore, GatewayStore, CloudflareStore)
        for name in ("put", "get", "swap", "names")
    ),
    *((Ledger, name) for name in ("begin", "finish", "confirm", "replace", "open_batch", "close_batch")),
    *((Leases, name) for name in ("take", "held", "end", "release")),
    (files, "replace"),
    (files, "remove"),
    (os, "replace"),
]
PROCESS = ("nimbus:process", "--until-empty", "--workers=2")
#: Waits are short: a lease outlives its holder by so much.
PROCESSING = json.dumps({"look": 0.05, "flush": 0.05, "lease": 0.4, "grace": 2})
NAMES = "abcde"
#: How a run may end.
WELL = {0, 1, 2, 130, 143, -signal.SIGKILL, -signal.SIGTERM}
MINUTES_OFF = (-1440, -60, -1, 1, 60, 1440)
#: Of so many harmed uploads the ledger is lost as well.
FORGETS = 0.15
#: Where a site lies that has little room, and how much there is in all.
DISK, ROOM = "disk", 4 << 20


class Life(NamedTuple):
    """What became of one life. ends: runs that a signal ended, by command; ran: how many were harmed in vain."""

    place: str
    harm: str
    seed: str
    ends: dict[str, int]
    ran: int
    lost: int
    doubled: int
    left: int
    wrong: list[str]
    folder: str
    seconds: float


# --- one run ------------------------------------------------------------------------------------------


class Harm(NamedTuple):
    """What happens to one run: a signal before its n-th step (0: none), or the clock is set by so many minutes then."""

    step: int = 0
    sign: int = signal.SIGKILL
    off: int = 0
    steps_off: int = 0


def perform(command: tuple[str, ...], name: str, harm: Harm) -> int:
    """Be `doit COMMAND`, and note how many steps there were."""
    clock = Clock(harm.off)
    count = 0

    def watch(owner: Any, seam: str) -> None:
        real = getattr(owner, seam)

        @functools.wraps(real)
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == harm.step:
                clock.off += harm.steps_off * 60
                if harm.sign:
                    os.kill(os.getpid(), harm.sign)
            return real(*arguments, **options)

        setattr(owner, seam, step)

    for owner, seam in SEAMS:
        watch(owner, seam)
    SqliteStore.limits = CloudflareStore.limits = LIMITS
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain
    from scripted_pages import task_nimbus

    import nimbus_tasks

    tasks = {task: getattr(nimbus_tasks, task) for task in nimbus_tasks.__all__} | {"task_nimbus": task_nimbus}
    if harm.off or harm.steps_off:
        clock.patch()
    status = DoitMain(ModuleTaskLoader(tasks)).run(list(command))
    Path(f"{name}.steps").write_text(str(count))
    return int(status)


class Clock:
    """The clock of this process, so many seconds off."""

    def __init__(self, minutes: int) -> None:
        self.off = minutes * 60.0

    def patch(self) -> None:
        real, clock = time.time, self
        time.time = lambda: real() + clock.off

        class Off(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> Any:
                return datetime.datetime.fromtimestamp(time.time(), tz)

        for name, module in list(sys.modules.items()):
            if name.startswith("nimbus_tasks") and vars(module).get("datetime") is datetime.datetime:
                module.datetime = Off  # type: ignore[attr-defined]


# --- one life -----------------------------------------------------------------------------------------


class Lives:
    """The lives of one process, at one place."""

    def __init__(self, place: Place, work: Path) -> None:
        self.place = place
        self.work = work
        self.steps: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def live(self, harm: str, seed: str, ends: int) -> Life:
        began = time.monotonic()
        return _Life(self, harm, seed, ends).tell(began)


class _Life:
    def __init__(self, lives: Lives, harm: str, seed: str, ends: int) -> None:
        self.lives, self.harm, self.seed, self.ends_each = lives, harm, seed, ends
        self.chance = random.Random(f"{harm} {seed}")
        place = lives.place
        self.key = f"{harm}-{seed.replace('/', '-')}"
        self.folder = lives.work / self.key
        self.site = Site(self.folder)
        self.project = place.project(self.key)
        self.environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ} | {
            "PROCESS_SETTINGS": PROCESSING,
            "PYTHONIOENCODING": "utf-8",
            **place.environment(self.key),
        }
        self.ended: dict[str, int] = {}
        self.ran = self.lost = self.doubled = self.left = self.runs = 0
        self.wrong: list[str] = []
        self.texts: dict[str, str] = {}
        self.seen: set[str] = set()

    def tell(self, began: float) -> Life:
        self.folder.mkdir(parents=True)
        if self.harm == "full":
            _mount(self.folder)
        try:
            self._live()
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        if self.harm == "full":
            _unmount(self.folder, keep=bool(self.wrong))
        told = Life(
            self.lives.place.name, self.harm, self.seed, self.ended, self.ran, self.lost, self.doubled, self.left,
            self.wrong, str(self.folder) if self.wrong else "", round(time.monotonic() - began, 1),
        )  # fmt: skip
        if not self.wrong:
            shutil.rmtree(self.folder)
        return told

    def _live(self) -> None:
        pace = "[upload]\nretry_wait = 10\nmax_pages_per_batch = 3\naudit_log = true\n"
        self.site.write(".nimbus/project.toml", SETTINGS.replace(PROJECT, self.project) + pace)
        self._edit(first=True)
        self._go("upload")
        self._go(*PROCESS)
        self._go("nimbus:batch:retry")
        self._go(*PROCESS)
        self._go("nimbus:apply")
        self._edit()
        self._go()
        self._edit()
        self._go("watch")
        self._go(*PROCESS)

    def _edit(self, *, first: bool = False) -> None:
        """Change pages, and after the first time add one and remove one. The first one always fails in processing."""
        names = NAMES if first else self.chance.sample([name for name in self.texts if name != "a"], 2)
        for name in names:
            self._write(name)
        if first:
            return
        self._write(f"new{len(self.texts)}-{self.chance.randrange(1000)}")
        gone = self.chance.choice([name for name in self.texts if name not in ("a", *names)])
        self.site.remove(f"dist/{gone}.html")
        del self.texts[gone]

    def _write(self, name: str) -> None:
        self.texts[name] = f"Edit {self.chance.randrange(10**9)}." + (" fatal=refused" if name == "a" else "")
        self.site.page(name, self.texts[name])

    # --- a command ------------------------------------------------------------------------------------

    def _go(self, *command: str) -> None:
        """Harm a command again and again, let it run to its end, judge, and run it once more."""
        named = command[0] if command else "doit"
        if named == "nimbus:batch:retry":
            command = (*command, f"--batch={self._failed_batch()}")
        for _ in range(self.ends_each):
            if self.harm == "full":
                self._fill()
            self._harmed(named, command)
            self._room()
            if named in ("upload", "doit") and self.chance.random() < FORGETS:
                self.site.forget_ledger()  # only the store can say what it holds
        resumed = () if named == "watch" else command
        status = self._run(named, resumed, Harm())
        expected = {0, 1, 2} if named == "nimbus:process" else {0}  # the page that always fails may be the only one
        if status not in expected:
            self.wrong.append(f"{named}, run {self.runs}: resumed, it ended with {status}")
        before = self._judge(named)
        # A retry of what waits already, or of what has ended, is no part of the promise: only that nothing is doubled.
        again = self._run(named, resumed, Harm())
        if again not in expected:
            self.wrong.append(f"{named}, run {self.runs}: with nothing to do, it ended with {again}")
        after = self.lives.place.content(self.key)
        if _comparable(after) != _comparable(before):
            changed = {
                key for key in {*before.values, *after.values} if before.values.get(key) != after.values.get(key)
            }
            self.wrong.append(f"{named}, run {self.runs}: with nothing to do, it changed {sorted(changed)}")

    def _harmed(self, named: str, command: tuple[str, ...]) -> None:
        chance, lives = self.chance, self.lives
        off = chance.choice(MINUTES_OFF) if self.harm == "clock" else 0
        harm = Harm(0, 0, off)
        kill, sign = 0.0, chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        if self.harm != "full":
            if chance.random() < 0.6:
                harm = Harm(chance.randint(1, lives.steps.get(named) or 20), sign, off)
            else:
                kill = lives.seconds.get(named, 0.5) * chance.uniform(0.02, 1.1)
            if self.harm == "clock":
                harm = harm._replace(steps_off=chance.choice(MINUTES_OFF), step=harm.step or chance.randint(1, 20))
        if named == "watch":
            kill = lives.seconds.get("doit", 0.5) * chance.uniform(0.1, 2)
        status = self._run(named, command, harm, kill, sign)
        if status < 0 or status in (130, 143) or (named == "watch" and self.harm != "full"):
            self.ended[named] = self.ended.get(named, 0) + 1
        else:
            self.ran += 1

    def _run(
        self, named: str, command: tuple[str, ...], harm: Harm, kill: float = 0.0, sign: int = signal.SIGKILL
    ) -> int:
        self.runs += 1
        name = f"{self.runs:03d}"
        said = self.lives.work / f"{self.key}.said"
        said.mkdir(exist_ok=True)
        act = functools.partial(perform, command, str(said / name), harm)
        ended = run(self.folder, str(said / name), self.environment, act, kill, sign)
        wrote = said / f"{name}.txt"
        text = wrote.read_text(errors="replace") if wrote.exists() else ""  # not even begun
        if ended.status not in WELL or "Traceback" in text:
            self.wrong.append(f"{named} ended with {ended.status}, see {wrote}")
        steps = said / f"{name}.steps"
        if steps.exists() and not kill and ended.status >= 0:
            known = "doit" if not command else named
            self.lives.steps[known] = max(self.lives.steps.get(known, 0), int(steps.read_text()))
            self.lives.seconds[known] = ended.seconds
        return ended.status

    # --- what must be true afterwards -----------------------------------------------------------------

    def _judge(self, named: str) -> Content:
        content = self.lives.place.content(self.key)
        maps = [json.loads((self.site / file).read_bytes()) for file in self.site.maps()]
        verdict = judge(self.project, content, maps, edits=True)
        wrong = [*verdict.wrong, *wrong_logs(self.project, content, steady=self.harm != "clock")]
        here = {f"dist/{name}.html" for name in self.texts}
        if {each["path"] for each in maps} != here:
            wrong.append(f"maps of {sorted({each['path'] for each in maps} ^ here)}")
        wrong += [
            f"the map of {name} is of an older page"
            for name, text in self.texts.items()
            if not any(text in json.dumps(each) for each in maps)
        ]
        left = {*self._left_over(here)} - self.seen
        self.seen |= left
        wrong += [f"{path} is left over" for path in sorted(left)]
        self.lost += verdict.lost + verdict.unqueued
        self.doubled += verdict.doubled
        self.left += len(left)
        self.wrong += [f"{named}, run {self.runs}: {each}" for each in wrong]
        return content

    def _left_over(self, here: set[str]) -> Iterator[str]:
        for file in sorted(self.folder.rglob("*")):
            path = file.relative_to(self.folder).as_posix()
            if file.is_file() and ((path.startswith("dist/") and path not in here) or path.endswith(".tmp")):
                yield path

    def _failed_batch(self) -> str:
        prefix = f"batch:{self.project}:"
        values = self.lives.place.content(self.key).values
        return next(
            key.removeprefix(prefix)
            for key, batch in values.items()
            if key.startswith(prefix) and any(page["status"] == "failed" for page in batch["pages"].values())
        )

    # --- the disk -------------------------------------------------------------------------------------

    def _fill(self) -> None:
        room = os.statvfs(self.folder)
        left = self.chance.choice([0, 4, 8, 16, 32, 64, 128]) << 10
        (self.folder / "ballast").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left)))

    def _room(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


def _comparable(content: Content) -> Any:
    """Leave out when the queue was looked at last."""
    values = {
        key: {name: part for name, part in value.items() if name != "last_processed"}
        if key.startswith("queue:")
        else value
        for key, value in content.values.items()
    }
    return values, content.metadata


def _mount(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", DISK, str(folder)], check=True)


def _unmount(folder: Path, *, keep: bool) -> None:
    """Take the disk away; what was on it stays for those who look for what is wrong."""
    beside = folder.with_name(f"{folder.name}.kept")
    if keep:
        shutil.copytree(folder, beside)
    subprocess.run(["umount", str(folder)], check=True)
    if keep:
        shutil.copytree(beside, folder, dirs_exist_ok=True)
        shutil.rmtree(beside)


# --- the process --------------------------------------------------------------------------------------


def in_own_mounts() -> bool:
    """Move this process to a mount namespace of its own; say whether that is allowed."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x20000):  # CLONE_NEWNS
        return False
    return not subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("place", choices=PLACES)
    parser.add_argument("--harms", default="kill")
    parser.add_argument("--lives", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ends", type=int, default=4)
    asked = parser.parse_args(arguments)
    harms = asked.harms.split(",")
    asked.work.mkdir(parents=True, exist_ok=True)
    preload()
    if "full" in harms and not in_own_mounts():
        sys.exit("Not allowed to mount a tmpfs here, so no disk can be full: run as root.")
    with PLACES[asked.place](asked.work) as place:
        lives = Lives(place, asked.work)
        for number in range(asked.first, asked.first + asked.lives):
            for harm in harms:
                told = lives.live(harm, f"{asked.seed}/{number}", asked.ends)
                sys.stdout.write(json.dumps(told._asdict()) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
