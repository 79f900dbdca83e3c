"""File changes -> pipeline, in this process, until Ctrl-C.

What the pipeline itself writes wakes the watch too, but a survey finds nothing to do there: no cycle, no line.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import watch as changes_in

from nimbus_tasks import narration
from nimbus_tasks.errors import NimbusError, SettingsError
from nimbus_tasks.log import LOG_FILE
from nimbus_tasks.request import Request
from nimbus_tasks.scan import matcher
from nimbus_tasks.settings import MAPS_FOLDER, PROJECT_FILE, STATE_FOLDER
from nimbus_tasks.stages.summarizing import invalid_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.commands import Commands
    from nimbus_tasks.console import Console
    from nimbus_tasks.outcome import PageResult
    from nimbus_tasks.plan import Plan
    from nimbus_tasks.settings import Source

#: A burst of changes that never rests is published all the same after so many debounces.
LONGEST_BURST = 10
#: Longer quiet than this, in milliseconds, is nobody's wish; a negative one is no time at all.
LONGEST_DEBOUNCE = 60_000
#: How often to look whether the source folder is still the one that is watched, in milliseconds.
CHECK_MS = 1000
#: A cycle's line names so many of its pages.
NAMED = 3


def watch(commands: Commands, debounce_ms: int) -> int:
    """Run once, then after each change. Return the exit status of a watch that was ended: always 0.

    Raises:
        NimbusError: the first run could not even begin (no project, wrong settings).
    """
    if not 0 <= debounce_ms <= LONGEST_DEBOUNCE:
        raise SettingsError(f"--debounce={debounce_ms} must be 0 to {LONGEST_DEBOUNCE} milliseconds.")
    session = _Session(commands)
    console = commands.console
    try:
        console.line(f"👀 Watching {session.source.folder or MAPS_FOLDER} (Ctrl-C ends it)")
        session.cycle()
        while True:
            with contextlib.suppress(FileNotFoundError):  # the folder went while its watch was set up
                _watch_folder(session, session.source, debounce_ms)
    except KeyboardInterrupt:
        pass
    console.line()
    console.line(f"👀 Watch ended: {narration.count(session.sent, 'page')} sent in {session.cycles} cycles")
    return 0


def _watch_folder(session: _Session, source: Source, debounce_ms: int) -> None:
    """Run a cycle after each change, until the source is another folder than the one that is watched."""
    identity = _identity(source.folder)
    changes = changes_in(
        *[STATE_FOLDER, *([source.folder] if source.folder and Path(source.folder).is_dir() else [])],
        watch_filter=_wanted(source),
        # A burst is over when a step brought nothing: one or two halves after the last change.
        step=max(1, debounce_ms // 2),
        debounce=debounce_ms * LONGEST_BURST,
        rust_timeout=CHECK_MS,
        yield_on_timeout=True,
    )
    for looks, changed in enumerate(changes):
        # A build removed the folder and made it anew: the old watch sees nothing of it.
        moved = _identity(source.folder) != identity
        # What changed before the watch was set up has no event: the first look is for that.
        if changed or moved or not looks:
            session.cycle()
        if moved or session.source != source:
            return


class _Session:
    """The cycles of one watch: they share a batch, and an issue is told once, not at every save."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._batch = ""
        #: As the settings had it when they could last be read.
        self.source = commands.pipeline.settings.source
        self._told: set[str] = set()
        self._now: set[str] = set()
        self.sent = 0
        self.cycles = 0

    def cycle(self) -> None:
        """Bring the store up to date; whatever goes wrong is shown, and the next change tries again."""
        console = self._commands.console
        started = time.monotonic()
        self._now = set()
        try:
            done = self._run()
        except NimbusError as error:
            self._complain(str(error))
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error} (more in {LOG_FILE}); the watch goes on")
            self._commands.pipeline.log.event("error", "watch cycle failed", exc_info=True)
        else:
            if done or not self.cycles:
                ms = (time.monotonic() - started) * 1000
                console.line(f"{time.strftime('%H:%M:%S')} {done or 'nothing to send'} in {ms:.0f} ms")
            self.cycles += 1
        self._told = self._now

    def _run(self) -> str:
        """Do what there is to do; return what was sent in words, empty for nothing."""
        pipeline = self._commands.pipeline
        pipeline.look_again(settings_too=True)
        self.source = pipeline.settings.source
        if not pipeline.sources.nothing_to_do:
            pipeline.extract(self._commands.silently)
        if not pipeline.map_files.nothing_to_do:
            pipeline.validate(self._commands.silently)
        for page in invalid_results(pipeline.pages):
            self._complain(f"{page.map_file} - {page.error}")
        if pipeline.is_published() and self.cycles:
            return ""
        observer = _Observer(self._commands.console)
        done, _ = pipeline.upload(Request(batch=self._batch, insist=False), observer)
        outcome = done.outcome
        self._batch = outcome.batches[-1] if outcome.batches else self._batch
        self.sent += outcome.sent
        for page in outcome.pages:
            if page.result == "failed":
                self._complain(f"{page.map_file or page.path} - {page.error}")
        if outcome.refusal:
            self._complain(f"Pages whose source is gone stay as they are: {outcome.refusal}.")
        if outcome.stopped:
            self._complain(f"Stopped: {outcome.stopped}")
        return observer.words()

    def _complain(self, complaint: str) -> None:
        """Show what is wrong, unless the last cycle did: it is still so."""
        self._now.add(complaint)
        if complaint not in self._told:
            self._commands.console.fail(complaint)


class _Observer:
    """Gathers what one cycle sent."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plan: Plan | None = None
        self._paths: list[str] = []

    def plan(self, plan: Plan) -> None:
        self._plan = plan

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:
        if result.result in ("stored", "queued", "removed"):
            self._paths.append(result.path)

    def waiting(self, seconds: float, why: str) -> None:
        narration.rate_limited(self._console, seconds, why)

    def words(self) -> str:
        if not self._paths or self._plan is None:
            return ""
        reasons = ", ".join(f"{number} {reason}" for reason, number in self._plan.reasons().items())
        more = f" and {len(self._paths) - NAMED} more" if len(self._paths) > NAMED else ""
        return f"→ sent {len(self._paths)} ({reasons}): {', '.join(self._paths[:NAMED])}{more}"


def _wanted(source: Source) -> Callable[[object, str], bool]:
    """Return a filter for what may concern the pipeline: pages, maps and the settings."""
    is_page = matcher(source.include, source.exclude)
    here = f"{Path.cwd()}{os.sep}"
    page_root = f"{source.folder}{os.sep}"

    def wanted(_: object, path: str) -> bool:
        relative = path.removeprefix(here)
        if relative == PROJECT_FILE:
            return True
        if relative.startswith(f"{MAPS_FOLDER}{os.sep}"):
            return relative.endswith(".json")
        return bool(source.folder) and is_page(relative.removeprefix(page_root))

    return wanted


def _identity(folder: str) -> int:
    try:
        return os.stat(folder).st_ino if folder else 0
    except OSError:
        return -1
