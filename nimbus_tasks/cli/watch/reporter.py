"""What a watch says: lines for a person, NDJSON for a program, a status file for an editor."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.json_output import print_line
from nimbus_tasks.cli.messages import count, errors
from nimbus_tasks.cli.watch.documents import Cycle, Ended, Problem, Status
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.watch.complaints import News
    from nimbus_tasks.cli.watch.documents import State

#: A cycle's line names so many of its pages.
NAMED = 3


class Telling:
    """Tells what one watch does, and adds it up."""

    def __init__(self, console: Console, source: str, *, as_json: bool, status_file: str) -> None:
        _refuse_bad_status_file(status_file)
        self._console = console
        self._as_json = as_json
        self._status_file = status_file
        self._source = source
        self._began, self._since = time.monotonic(), now()
        self._told_of_status_file = False
        self._last: Cycle | None = None
        self._problems: tuple[Problem, ...] = ()
        self._batches: list[str] = []
        self._cycles = self._sent = self._removed = 0

    def began(self) -> None:
        self._console.line(f"👀 Watching {self._source or MAPS_FOLDER} (Ctrl-C ends it)")
        self.stands("working")

    def watches(self, source: str) -> None:
        """Tell that the settings name another source folder from now on, if they do."""
        if source != self._source:
            before, self._source = self._source, source
            gone = f" Pages that only {before} has count as gone after a short rest." if before else ""
            self._console.line(f"👀 Watching {source or MAPS_FOLDER} from now on.{gone}")

    def news(self, news: News) -> None:
        """Tell what is wrong since the last cycle, and what is no longer."""
        errors(self._console, news.wrong.values(), len(news.wrong))
        for about in news.mended:
            self._console.line(f"✅ {_MENDED.get(about) or f'Mended: {about}'}", "green")

    def polls(self, why: str) -> None:
        """Tell that the operating system will not tell of changes."""
        self._console.warn(
            f"The system does not tell of changes ({why}): files are looked at twice a second. "
            "On Linux, a higher fs.inotify.max_user_watches mends that."
        )

    def cycle(self, cycle: Cycle, *, is_news: bool) -> None:
        """Tell of a cycle; of one that neither did anything nor changed what is wrong, only the first."""
        self._problems = cycle.problems
        if cycle.batch_id and cycle.batch_id not in self._batches:
            self._batches.append(cycle.batch_id)
        did = cycle.sent + cycle.removed
        is_first = not self._cycles and not cycle.next_try and all(each.about != "source" for each in cycle.problems)
        if did or is_first:
            self._cycles += 1
            self._sent += cycle.sent
            self._removed += cycle.removed
            self._last = msgspec.structs.replace(cycle, pages=cycle.pages[:FEW])
            self._console.line(f"{time.strftime('%H:%M:%S')} {_words(cycle)} in {cycle.ms} ms")
            is_news = True
        if self._as_json and is_news:
            print_line(cycle)

    def ended(self) -> None:
        """Tell what the whole watch did."""
        seconds = round(time.monotonic() - self._began)
        ended = Ended(now(), seconds, self._cycles, self._sent, self._removed, tuple(self._batches), self._problems)
        self.stands("ended")
        self._console.line()
        self._console.line(_summary(ended))
        for problem in ended.problems:
            self._console.line(f"   still wrong: {problem.about}")
        if self._as_json:
            print_line(ended)

    def stands(self, state: State) -> None:
        """Write how the watch stands, if a file was named for that."""
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
            if not self._told_of_status_file:
                self._console.warn(str(error))
            self._told_of_status_file = True


#: What is said when it goes well again, by what it was about; a file is mended.
_MENDED = {
    "source": "The source folder is there again",
    "upload": "Uploads go well again",
    "removals": "Pages whose source is gone can be marked again",
}


def _words(cycle: Cycle) -> str:
    paths = [page.path for page in cycle.pages if page.result in ("stored", "queued", "removed")]
    if not paths:
        return "nothing to send"
    reasons = ", ".join(f"{number} {reason}" for reason, number in cycle.reasons.items())
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"→ sent {len(paths)} ({reasons}): {', '.join(paths[:NAMED])}{more}"


def _summary(ended: Ended) -> str:
    minutes, seconds = divmod(ended.seconds, 60)
    lasted = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    did = f"{count(ended.sent, 'page')} sent, {ended.removed} removed in {count(ended.cycles, 'cycle')}"
    batches = f", {', '.join(ended.batches)}" if ended.batches else ""
    return f"👀 Watch ended after {lasted}: {did}, {count(len(ended.problems), 'problem')}{batches}"


def _refuse_bad_status_file(name: str) -> None:
    """Refuse a status file that would overwrite something else, or be taken for a map.

    Raises:
        SettingsError: it names the option.
    """
    if not name:
        return
    path = Path(name)
    inside_maps = Path(MAPS_FOLDER).resolve() in path.resolve().parents
    if inside_maps or path.resolve() == Path(PROJECT_FILE).resolve():
        raise SettingsError(f"--status={name} is a place for other files.", "Such as --status=.nimbus/watch.json")
    if path.is_dir():
        raise SettingsError(f"--status={name} is a folder.", "Name a file in it.")
    if path.exists() and path.stat().st_size and files.read_json(path, Status) is None:
        raise SettingsError(f"--status={name} is there and was not written by a watch.", "Name another file.")
