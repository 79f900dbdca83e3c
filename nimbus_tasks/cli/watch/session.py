"""The cycles of one watch: each brings the store up to date. They share a batch, and an issue is told once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from nimbus_tasks.cli import messages as narration
from nimbus_tasks.cli.watch.classify import Look
from nimbus_tasks.cli.watch.complaints import Complaints
from nimbus_tasks.cli.watch.documents import Cycle, Problem
from nimbus_tasks.cli.watch.problems import Wrong, of_upload
from nimbus_tasks.cli.watch.scanner import Looking
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import NimbusError, SourceError, StoreError
from nimbus_tasks.pipeline.summary import invalid_results
from nimbus_tasks.project.log import LOG_FILE
from nimbus_tasks.publishing.plan import Request

if TYPE_CHECKING:
    from collections.abc import Collection

    from nimbus_tasks.cli.commands.pipeline import Commands
    from nimbus_tasks.cli.watch.documents import State
    from nimbus_tasks.cli.watch.reporter import Telling
    from nimbus_tasks.cli.watch.schedule import Agenda, Due
    from nimbus_tasks.project.settings import Settings
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Plan


class Session:
    """One watch over one pipeline.

    settings: as they were when they could last be read.
    """

    def __init__(self, commands: Commands, agenda: Agenda, telling: Telling) -> None:
        self._commands, self._agenda, self._telling = commands, agenda, telling
        self._pipeline = commands.pipeline
        self._looking = Looking(commands.pipeline)
        self._complaints = Complaints()
        self._wrong = Wrong()
        self.settings: Settings = commands.pipeline.settings
        self._batch = ""
        self._first_is_over = False

    def is_news(self, told: Collection[str]) -> bool:
        """Whether any of these files is not as it was seen last: what the pipeline wrote itself is."""
        return not self._looking.means(told, self.settings.source).nothing

    def forget(self) -> None:
        """Look at all files in the next cycle."""
        self._looking.forget()

    def cycle(self, told: Collection[str], due: Due) -> tuple[str, ...]:
        """Do what there is to do after these changes; return the files that are to be looked at again soon.

        Whatever goes wrong is told, and tried again: at the next change, and after a wait where one is of use.
        """
        began = time.monotonic()
        look = self._looking.means(told, self.settings.source)
        if due.removals or due.whole:
            look = Look(whole=True)
        if look.nothing and due.nothing_else:
            self._telling.stands(self._state)
            return ()
        self._telling.stands("working")
        observer = _Observer(self._commands)
        try:
            self._run(look, due, observer)
        except Exception as error:
            self._note_failure(error)
        self._conclude(began, observer)
        return self._looking.unfinished

    def _run(self, look: Look, due: Due, observer: _Observer) -> None:
        pipeline, wrong = self._pipeline, self._wrong
        if look.whole:
            self._read_settings()
        missing = self._looking.look(look, removals=due.removals)
        wrong.source = ""
        if not pipeline.sources.nothing_to_do:
            pipeline.extract(self._commands.silently)
        if not pipeline.map_files.nothing_to_do:
            pipeline.validate(self._commands.silently)
        self._looking.note_maps()
        at = time.monotonic()
        self._agenda.looked(at, whole=look.whole)
        self._agenda.missing(missing, at)
        wrong.pages = {page.map_file: page.error for page in invalid_results(pipeline.pages)}
        wrong.pages |= {odd.path: odd.reason for odd in pipeline.skipped if odd.failed}
        wrong.upload, wrong.unsent = {}, False
        if not (self._first_is_over and pipeline.is_published()):
            done, _ = pipeline.upload(Request(batch=self._batch, insist=False), observer)
            self._batch = done.outcome.batches[-1] if done.outcome.batches else self._batch
            wrong.upload, wrong.unsent = of_upload(done.outcome)
        self._first_is_over = True

    def _read_settings(self) -> None:
        """Read the settings again; wrong ones leave the old ones in force."""
        self._pipeline.look_again(settings_too=True)
        try:
            self.settings = self._pipeline.settings
            self._wrong.settings = ""
            self._telling.watches(self.settings.source.folder)
        except NimbusError as error:
            self._pipeline.settings = self.settings
            self._wrong.settings = f"{error} Until then the old settings are in force."

    def _note_failure(self, error: Exception) -> None:
        """Note what kept a cycle from its end."""
        if isinstance(error, SourceError):
            self._wrong.source = str(error)
            return
        said = str(error)
        if isinstance(error, StoreError):
            said += " What changes meanwhile is sent when the store answers again."
        elif not isinstance(error, NimbusError):
            self._pipeline.log.event("error", "watch cycle failed", exc_info=True)
            said = f"{type(error).__name__}: {error} (more in {LOG_FILE}); the watch goes on"
        self._wrong.upload, self._wrong.unsent = {"upload": said}, True

    def _conclude(self, began: float, observer: _Observer) -> None:
        """Tell what a cycle did and what is wrong now, and see to another try where something was not sent."""
        ended = time.monotonic()
        unsent = self._wrong.unsent
        next_try = self._agenda.failed(ended) if unsent else 0.0
        if not unsent:
            self._agenda.succeeded()
        news = self._complaints.become(self._wrong.all())
        # A page that is no longer there is not mended.
        news = news._replace(mended=tuple(about for about in news.mended if "/" not in about or os.path.lexists(about)))
        self._telling.news(news)
        done = [page.result for page in observer.pages if page.result in ("stored", "queued", "removed")]
        cycle = Cycle(
            at=now(),
            ms=round((ended - began) * 1000),
            sent=sum(result != "removed" for result in done),
            removed=done.count("removed"),
            reasons=observer.reasons if done else {},
            pages=tuple(observer.pages),
            problems=tuple(Problem(about, said) for about, said in self._complaints.now.items()),
            batch_id=self._batch,
            next_try=round(next_try, 3),
        )
        self._telling.cycle(cycle, is_news=bool(news.wrong or news.mended))
        self._telling.stands(self._state)

    @property
    def _state(self) -> State:
        return "lost" if self._wrong.unsent else "idle"


class _Observer:
    """Gathers what one cycle sent, and why."""

    def __init__(self, commands: Commands) -> None:
        self._console = commands.console
        self.pages: list[PageResult] = []
        self.reasons: dict[str, int] = {}

    def plan(self, plan: Plan) -> None:
        self.reasons = plan.reasons()

    def batch(self, batch_id: str) -> None:
        pass

    def page(self, result: PageResult) -> None:
        self.pages.append(result)

    def waiting(self, seconds: float, why: str) -> None:
        narration.rate_limited(self._console, seconds, why)
