"""The stages of one group of pages under one lock, and the reports of all groups at the end. Says nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.cli.stream.answers import Answer, answers
from nimbus_tasks.pipeline import validate as validating
from nimbus_tasks.pipeline.extract_files import map_file_of
from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.project.manifest import Pages
from nimbus_tasks.project.scan import look_again
from nimbus_tasks.publishing.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.cli.stream.frames import StreamedPage
    from nimbus_tasks.pipeline.extract_files import Extracted
    from nimbus_tasks.publishing.outcome import Observer, Summary
    from nimbus_tasks.publishing.plan import Request


class Published(Struct, frozen=True):
    """What became of one group: an answer a page, in the order of the pages, and what the upload did."""

    answers: tuple[Answer, ...]
    outcome: Outcome


class StreamPipeline(Pipeline):
    """The project in the working directory, brought up to date with pages from a stream."""

    def publish(self, group: Sequence[StreamedPage], request: Request, observer: Observer) -> Published:
        """Extract, validate and upload these pages; all others stay as they are.

        Raises:
            NimbusError: nothing could be done with any of them.
        """
        from nimbus_tasks.pipeline import summary as summarizing
        from nimbus_tasks.pipeline import upload as uploading

        with self._locked("nimbus:stream"):
            extracted = self._extract(group)
            if not self.map_files.nothing_to_do:
                validating.validate(self.settings, self.map_files, _Silent())
                self.__dict__.pop("pages", None)
                self.__dict__.pop("map_files", None)
            part = _part(self.pages, extracted)
            done = uploading.upload(self.settings, part, request, observer, record=self.log_request)
            if not request.dry_run:
                self._log_upload(done.outcome)
            told = tuple(answers(self.settings.project.id, extracted, part, done.plan, done.outcome))
            done.outcome.pages.extend(summarizing.invalid_results(part))
            return Published(told, done.outcome)

    def report(self, outcome: Outcome) -> Summary:
        """Write the reports of all that a stream did."""
        from nimbus_tasks.pipeline import summary as summarizing

        with self._locked("nimbus:stream"):
            # A page that came twice is as it was last, and pages that did not come may be invalid too.
            last = {page.path: page for page in outcome.pages if page.result != "invalid"}
            whole = [*last.values(), *summarizing.invalid_results(self.pages)]
            site = self._site_summary(msgspec.structs.replace(outcome, pages=whole), None, self.pages)
            summarizing.write_reports(summarizing.upload_summary(self.settings.project.id, outcome), site)
            return site

    def _extract(self, group: Sequence[StreamedPage]) -> list[Extracted]:
        from nimbus_tasks.pipeline.extract_stream import extract_arrived

        extracted = extract_arrived(self.settings, ((page.path, page.html) for page in group), self.maps)
        self.log.event("info", "extracted", read=len(extracted), written=sum(each.written for each in extracted))
        # All but those that cannot have changed: a map may have been removed.
        touched = [map_file_of(each.path) for each in extracted if each.written or not each.map_file]
        maps = look_again(self.maps, touched) if touched else self.maps
        self.look_again()
        self.maps = maps
        return extracted


def _part(pages: Pages, extracted: Sequence[Extracted]) -> Pages:
    """Return what validation knows of these pages alone."""
    here = {each.map_file for each in extracted if each.map_file} & pages.entries.keys()
    invalid = tuple(file for file in pages.invalid if file in here)
    entries = {file: entry for file, entry in pages.entries.items() if file in here}
    return Pages(project_id=pages.project_id, invalid=invalid, entries=entries)


def add(total: Outcome, part: Outcome) -> None:
    """Add what one group's upload did to what those before did."""
    total.batches.extend(batch for batch in part.batches if batch not in total.batches)
    total.pages.extend(part.pages)
    total.unchanged += part.unchanged
    total.waiting += part.waiting
    total.stopped = part.stopped
    total.finished = part.finished


class _Silent:
    def advance(self, steps: int = 1) -> None:
        pass
