"""The output of a watch: lines for a person, NDJSON (`--json`) for a program, a status file for an editor."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.json_output import print_line
from nimbus_tasks.cli.messages import count, errors
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE
from nimbus_tasks.publishing.outcome import PageResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nimbus_tasks.cli.console import Console

#: working: a cycle runs. waiting: changes come in. lost: something could not be sent and is retried.
State = Literal["working", "idle", "waiting", "lost", "ended"]


class Problem(Struct, frozen=True):
    """A problem. about: a file, `store`, `source` or `upload`."""

    about: str
    error: str


class Cycle(Struct, frozen=True, tag_field="event", tag="cycle"):
    """One run of the pipeline.

    at: when it ended. ms: how long it took.
    sent, removed, reasons, pages: what it did at the target. files: images and files that went up.
    problems: all current ones. next_try: seconds until the retry; 0 if nothing failed.
    """

    at: str
    ms: int
    sent: int
    removed: int
    reasons: dict[str, int]
    pages: tuple[PageResult, ...]
    problems: tuple[Problem, ...]
    batch_id: str = ""
    next_try: float = 0
    files: tuple[str, ...] = ()


class Ended(Struct, frozen=True, tag_field="event", tag="ended"):
    """A whole watch. seconds: its duration. cycles: those that did something."""

    at: str
    seconds: int
    cycles: int
    sent: int
    removed: int
    batches: tuple[str, ...]
    problems: tuple[Problem, ...]


class Status(Struct, frozen=True):
    """The status file, replaced whole. A killed watch leaves it behind, with its `pid`.

    since: when the watch began. updated: when this was written. last: the last cycle that did something.
    """

    state: State
    pid: int
    since: str
    updated: str
    source: str
    cycles: int
    sent: int
    removed: int
    batch_id: str
    problems: tuple[Problem, ...]
    last: Cycle | None = None


#: A cycle's line names this many of its pages.
NAMED = 3
#: Messages for problems that are not about a file.
_FIXED = {
    "files": "Files can be uploaded again",
    "source": "The source folder has pages again",
    "upload": "Uploads work again",
    "removals": "Removed pages can be marked again",
}


class Reporter:
    """Reports what one watch does, and adds it up."""

    def __init__(self, console: Console, *, as_json: bool, status_file: str) -> None:
        _refuse_bad_status_file(status_file)
        self._console = console
        self._as_json = as_json
        self._status_file = status_file
        self._source = ""
        self._began, self._since = time.monotonic(), now()
        self._warned_of_status_file = False
        self._last: Cycle | None = None
        self._problems: tuple[Problem, ...] = ()
        self._batches: list[str] = []
        self._cycles = self._sent = self._removed = 0

    def begin(self, source: str) -> None:
        self._source = source
        self._console.line(f"👀 Watching {self._source or MAPS_FOLDER} (Ctrl-C ends it)")
        self.state("working")

    def watches(self, source: str) -> None:
        """Report that the settings name another source folder from now on, if they do."""
        if source != self._source:
            before, self._source = self._source, source
            gone = f" Pages that only {before} has count as gone after a short rest." if before else ""
            self._console.line(f"👀 Watching {source or MAPS_FOLDER} from now on.{gone}")

    def problems(self, wrong: Mapping[str, str], fixed: Collection[str]) -> None:
        """Report new problems, and those that are fixed."""
        errors(self._console, wrong.values(), len(wrong))
        for about in fixed:
            self._console.line(f"✅ {_FIXED.get(about) or f'Fixed: {about}'}", "green")

    def polls(self, why: str) -> None:
        """Report that the operating system does not report changes."""
        self._console.warn(
            f"The system does not report changes ({why}): files are checked twice a second. "
            "On Linux, raise fs.inotify.max_user_watches."
        )

    def cycle(self, cycle: Cycle, *, is_news: bool) -> None:
        """Report a cycle: the first one, and each that did something or changed the problems."""
        self._problems = cycle.problems
        if cycle.batch_id and cycle.batch_id not in self._batches:
            self._batches.append(cycle.batch_id)
        did = cycle.sent + cycle.removed + len(cycle.files)
        is_first = not self._cycles and not cycle.next_try and all(each.about != "source" for each in cycle.problems)
        if did or is_first:
            self._cycles += 1
            self._sent += cycle.sent
            self._removed += cycle.removed
            self._last = msgspec.structs.replace(cycle, pages=cycle.pages[:FEW])
            self._console.line(f"{time.strftime('%H:%M:%S')} {_describe(cycle)} in {cycle.ms} ms")
            is_news = True
        if self._as_json and is_news:
            print_line(cycle)

    def ended(self) -> None:
        """Report what the whole watch did."""
        seconds = round(time.monotonic() - self._began)
        ended = Ended(now(), seconds, self._cycles, self._sent, self._removed, tuple(self._batches), self._problems)
        self.state("ended")
        self._console.line()
        self._console.line(_summary(ended))
        for problem in ended.problems:
            self._console.line(f"   still wrong: {problem.about}")
        if self._as_json:
            print_line(ended)

    def state(self, state: State) -> None:
        """Write the status file, if there is one."""
        if not self._status_file:
            return
        status = Status(
            state=state,
            pid=os.getpid(),
            since=self._since,
            updated=now(),
            source=self._source or MAPS_FOLDER,
            cycles=self._cycles,
            sent=self._sent,
            removed=self._removed,
            batch_id=self._batches[-1] if self._batches else "",
            problems=self._problems,
            last=self._last,
        )
        try:
            files.write_json(Path(self._status_file), status)
        except StateError as error:
            if not self._warned_of_status_file:
                self._console.warn(str(error))
            self._warned_of_status_file = True


def _describe(cycle: Cycle) -> str:
    paths = [page.path for page in cycle.pages if page.result in ("stored", "queued", "removed")]
    reasons = ", ".join(f"{number} {reason}" for reason, number in cycle.reasons.items())
    parts = [f"sent {len(paths)} ({reasons}): {_named(paths)}"] if paths else []
    parts += [f"uploaded {count(len(cycle.files), 'file')}: {_named(cycle.files)}"] if cycle.files else []
    return f"→ {', '.join(parts)}" if parts else "nothing to send"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(paths[:NAMED])}{more}"


def _summary(ended: Ended) -> str:
    minutes, seconds = divmod(ended.seconds, 60)
    lasted = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    did = f"{count(ended.sent, 'page')} sent, {ended.removed} removed in {count(ended.cycles, 'cycle')}"
    batches = f", {', '.join(ended.batches)}" if ended.batches else ""
    return f"👀 Watch ended after {lasted}: {did}, {count(len(ended.problems), 'problem')}{batches}"


def _refuse_bad_status_file(name: str) -> None:
    """Raise a `SettingsError` for a status file that would replace another file, or be taken for a map."""
    if not name:
        return
    path = Path(name)
    inside_maps = Path(MAPS_FOLDER).resolve() in path.resolve().parents
    if inside_maps or path.resolve() == Path(PROJECT_FILE).resolve():
        raise SettingsError(f"--status={name} is a place for other files.", "Use --status=.nimbus/watch.json")
    if path.is_dir():
        raise SettingsError(f"--status={name} is a folder.", "Name a file in it.")
    files.refuse_missing_folder("--status", name)
    if path.exists() and path.stat().st_size and files.read_json(path, Status) is None:
        raise SettingsError(f"--status={name} is there and was not written by a watch.", "Name another file.")
