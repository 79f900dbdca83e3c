"""`doit watch`: run the pipeline after each change, in this process, until Ctrl-C.

    events --schedule: when?--> classify: what to scan --> scanner --> session: one cycle --> reporter

Events for files that the pipeline itself wrote start no cycle: they are as the last snapshot has them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import OutputClosedError
from nimbus_tasks.cli.watch.events import STEP, Events
from nimbus_tasks.cli.watch.reporter import Reporter
from nimbus_tasks.cli.watch.scanner import folder_identity, role_of
from nimbus_tasks.cli.watch.schedule import Due, Schedule
from nimbus_tasks.cli.watch.session import Session
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import MAPS_FOLDER, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.watch.events import Changes
    from nimbus_tasks.project.settings import Settings

#: The longest debounce, in milliseconds.
LONGEST_DEBOUNCE = 60_000
#: Seconds between two checks whether the source folder is still the one that is watched.
CHECK = 1.0


def watch(console: Console, debounce_ms: int, *, as_json: bool = False, status: str = "") -> int:
    """Run once, then after each change. Return the exit status of a watch that was ended, always 0.

    as_json: print a line of JSON for each cycle. status: path of the status file; empty: none.

    Raises:
        NimbusError: the first run could not begin (no project, wrong settings or options).
    """
    if not 0 <= debounce_ms <= LONGEST_DEBOUNCE:
        raise SettingsError(f"--debounce={debounce_ms} must be 0 to {LONGEST_DEBOUNCE} milliseconds.")
    schedule = Schedule(debounce_ms / 1000)
    reporter = Reporter(console, as_json=as_json, status_file=status)
    session = Session(console, schedule, reporter)
    reporter.begin(session.settings.source.folder)
    with _sigterm_as_ctrl_c(), contextlib.closing(session):
        try:
            _Watch(session, schedule, reporter).run()
        except KeyboardInterrupt:
            _end_at_once_if_asked_again()
            reporter.ended()
        except OutputClosedError:
            reporter.state("ended")
    return 0


class _Watch:
    """The loop: collects changes, waits, and starts cycles."""

    def __init__(self, session: Session, schedule: Schedule, reporter: Reporter) -> None:
        self._session, self._schedule, self._reporter = session, schedule, reporter
        self._changed: set[str] = set()
        self._here = f"{Path.cwd()}{os.sep}"
        self._polling = False

    def run(self) -> None:
        """Run until Ctrl-C."""
        self._cycle(Due(whole=True))
        while True:
            try:
                self._watch(self._session.settings)
            except FileNotFoundError:
                continue  # the folder was removed while its watch was set up
            except OSError as error:
                if self._polling:
                    raise
                self._polling = True
                self._reporter.polls(error.strerror or str(error))

    def _watch(self, settings: Settings) -> None:
        """Run a cycle after each change, until the source folder is not the one that is watched."""
        source = settings.source
        watched = folder_identity(source.folder)
        folders = [STATE_FOLDER, *([source.folder] if watched > 0 else [])]
        is_set_up = False
        with Events(folders, _may_matter(settings, self._here), polling=self._polling) as events:
            while folder_identity(source.folder) == watched and self._session.settings == settings:
                # All that was reported during a cycle belongs to one burst.
                while changes := events.next():
                    if not is_set_up:
                        self._scan_everything()  # changes before the watch was set up were not reported
                    is_set_up = True
                    self._note(changes)
                now = time.monotonic()
                if due := self._schedule.due(now):
                    self._cycle(due)
                    continue
                wakes = self._schedule.wakes()
                events.wait(CHECK if wakes is None else min(CHECK, wakes - now))
        # A build replaced the folder, or the settings name another one: this watch does not see it.
        self._scan_everything()

    def _note(self, changes: Changes) -> None:
        paths = {path.removeprefix(self._here) for path in changes.paths}
        if self._session.has_changes(paths):
            if not self._schedule.settling:
                self._reporter.state("waiting")
            self._changed |= paths
            self._schedule.changed(changes.at - STEP)

    def _scan_everything(self) -> None:
        self._session.forget()
        self._schedule.changed(time.monotonic())

    def _cycle(self, due: Due) -> None:
        changed, self._changed = self._changed, set()
        if unfinished := self._session.cycle(changed, due):
            self._changed |= set(unfinished)
            self._schedule.changed(time.monotonic())


def _may_matter(settings: Settings, here: str) -> Callable[[str], bool]:
    """Return a filter for paths that may concern the pipeline: pages, maps, settings, and folders that come or go.

    Where the settings name a blob store, images and other files of the site are among them.
    """
    role, source = role_of(settings), settings.source
    roots = tuple(f"{root}{os.sep}" for root in (source.folder, MAPS_FOLDER) if root)

    def may_matter(path: str) -> bool:
        relative = path.removeprefix(here)
        if role(relative) != "other":
            return True
        below = source.folder == "." or relative.startswith(roots)
        is_hidden = relative.rpartition(os.sep)[2].startswith(".")  # temporary files
        return below and not is_hidden and (Path(path).is_dir() or not os.path.lexists(path))

    return may_matter


# --- signals ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and ignore the signal that leases send (see `scanner.unfinished`)."""
    handlers = {signal.SIGTERM: _interrupt} | ({signal.SIGIO: signal.SIG_IGN} if hasattr(signal, "SIGIO") else {})
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once_if_asked_again() -> None:
    """End the process at once at the next signal: everything that was stored is safe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os._exit(128 + received))


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A background job of a shell script ignores Ctrl-C, which is not meant for it; SIGTERM is.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Handled by the current handler of Ctrl-C, which may be asyncio's.
    signal.raise_signal(signal.SIGINT)
