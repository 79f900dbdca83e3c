"""`doit watch`: file changes -> pipeline, in this process, until Ctrl-C.

    events --(agenda: when?)--> meaning: what is to be looked at --> looking --> session: a cycle --> telling

What the pipeline itself writes is told too, but is as it was seen: no cycle, no line.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import OutputClosedError
from nimbus_tasks.cli.watch.events import STEP, Events
from nimbus_tasks.cli.watch.reporter import Telling
from nimbus_tasks.cli.watch.scanner import identity, role_of
from nimbus_tasks.cli.watch.schedule import Agenda, Due
from nimbus_tasks.cli.watch.session import Session
from nimbus_tasks.cli.watch.signals import as_interrupts, at_once_from_now_on
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project import manifest
from nimbus_tasks.project.settings import MAPS_FOLDER, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from nimbus_tasks.cli.commands.pipeline import Commands
    from nimbus_tasks.cli.watch.events import Heard
    from nimbus_tasks.project.settings import Source

#: Longer quiet than this, in milliseconds, is nobody's wish; a negative one is no time at all.
LONGEST_DEBOUNCE = 60_000
#: How often to look whether the source folder is still the one that is watched, in seconds.
CHECK = 1.0


def watch(commands: Commands, debounce_ms: int, *, as_json: bool = False, status: str = "") -> int:
    """Run once, then after each change. Return the exit status of a watch that was ended: always 0.

    `as_json`: a line of JSON a cycle on standard output. `status`: a file that says how the watch stands.

    Raises:
        NimbusError: the first run could not even begin (no project, wrong settings or options).
    """
    if not 0 <= debounce_ms <= LONGEST_DEBOUNCE:
        raise SettingsError(f"--debounce={debounce_ms} must be 0 to {LONGEST_DEBOUNCE} milliseconds.")
    manifest.keep_in_memory()
    agenda = Agenda(debounce_ms / 1000)
    source = commands.pipeline.settings.source.folder
    telling = Telling(commands.console, source, as_json=as_json, status_file=status)
    with as_interrupts():
        try:
            _Watch(Session(commands, agenda, telling), agenda, telling).go_on()
        except KeyboardInterrupt:
            at_once_from_now_on()
            telling.ended()
        except OutputClosedError:
            telling.stands("ended")
    return 0


class _Watch:
    """The loop: hears, waits, and starts cycles."""

    def __init__(self, session: Session, agenda: Agenda, telling: Telling) -> None:
        self._session, self._agenda, self._telling = session, agenda, telling
        self._told: set[str] = set()
        self._here = f"{Path.cwd()}{os.sep}"
        self._polling = False

    def go_on(self) -> None:
        """Run until Ctrl-C."""
        self._telling.began()
        self._cycle(Due(whole=True))
        while True:
            source = self._session.settings.source
            try:
                self._watch(source)
            except FileNotFoundError:
                continue  # the folder went while its watch was set up
            except OSError as error:
                if self._polling:
                    raise
                self._polling = True
                self._telling.polls(error.strerror or str(error))

    def _watch(self, source: Source) -> None:
        """Run a cycle after each change, until the source is another folder than the one that is watched."""
        watched = identity(source.folder)
        folders = [STATE_FOLDER, *([source.folder] if watched > 0 else [])]
        hears = False
        with Events(folders, _may_matter(source, self._here), polling=self._polling) as events:
            while identity(source.folder) == watched and self._session.settings.source == source:
                # Without a wait: what was told while a cycle was at work belongs to one burst.
                while heard := events.next():
                    if not hears:
                        self._look_at_all()  # what changed before the watch was set up was told to nobody
                    hears = True
                    self._note(heard)
                now = time.monotonic()
                if due := self._agenda.due(now):
                    self._cycle(due)
                    continue
                wakes = self._agenda.wakes()
                events.wait(CHECK if wakes is None else min(CHECK, wakes - now))
        # A build removed the folder and made it anew, or it is another one: this watch sees nothing of it.
        self._look_at_all()

    def _note(self, heard: Heard) -> None:
        paths = {path.removeprefix(self._here) for path in heard.paths}
        if self._session.is_news(paths):
            if not self._agenda.settling:
                self._telling.stands("waiting")
            self._told |= paths
            self._agenda.changed(heard.at - STEP)

    def _look_at_all(self) -> None:
        self._session.forget()
        self._agenda.changed(time.monotonic())

    def _cycle(self, due: Due) -> None:
        told, self._told = self._told, set()
        if unfinished := self._session.cycle(told, due):
            self._told |= set(unfinished)
            self._agenda.changed(time.monotonic())


def _may_matter(source: Source, here: str) -> Callable[[str], bool]:
    """Return a filter for paths that may concern the pipeline: pages, maps, settings, and folders that come or go."""
    role = role_of(source)
    roots = tuple(f"{root}{os.sep}" for root in (source.folder, MAPS_FOLDER) if root)

    def may_matter(path: str) -> bool:
        relative = path.removeprefix(here)
        if role(relative) != "other":
            return True
        below = source.folder == "." or relative.startswith(roots)
        is_hidden = relative.rpartition(os.sep)[2].startswith(".")  # files beside those that they will replace
        return below and not is_hidden and (Path(path).is_dir() or not os.path.lexists(path))

    return may_matter
