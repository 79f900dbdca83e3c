"""The stages of one group of pages, the answer to each page, and the reports of all groups at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.html.validate.rules import path_error
from nimbus_tasks.model import keys
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.summary import invalid_results, upload_summary
from nimbus_tasks.pipeline.summary import write_reports as write_report_files
from nimbus_tasks.pipeline.validate import plan_validation
from nimbus_tasks.project.manifest import Pages
from nimbus_tasks.publishing.outcome import Outcome, ResultName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.cli.stream.input import StreamedPage
    from nimbus_tasks.pipeline.extract_file import Extracted
    from nimbus_tasks.pipeline.pipeline import Pipeline
    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.pipeline.upload import Uploader
    from nimbus_tasks.publishing.outcome import Observer, Summary
    from nimbus_tasks.publishing.plan import Plan, Request


class Answer(Struct, frozen=True, omit_defaults=True):
    """The answer to one page.

    page_id: left out for a page that is not published.
    status: as in the reports: `stored`, `unchanged`, `invalid`, `skipped`, `failed`, `waiting` (in a dry run), ...
    reason: why it was sent (`new`, `changed`, ...), or what is wrong with it.
    """

    path: str
    status: ResultName
    reason: str
    page_id: str = ""

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "invalid")


def publish_group(
    pipeline: Pipeline,
    uploader: Uploader,
    snapshot: Snapshot,
    group: Sequence[StreamedPage],
    request: Request,
    observer: Observer,
) -> tuple[tuple[Answer, ...], Outcome, Snapshot]:
    """Extract, validate and upload these pages; all others stay as they are. Answers are in the order of the pages.

    Raises:
        NimbusError: nothing could be done with any of them.
    """
    from nimbus_tasks.pipeline.extract_stream import extract_stream

    settings = pipeline.settings
    extracted, snapshot = extract_stream(settings, snapshot, ((page.path, page.html) for page in group))
    pipeline.log.event("info", "extracted", read=len(extracted), written=sum(each.written for each in extracted))
    if not plan_validation(settings, snapshot).nothing_to_do:
        _, snapshot = pipeline.validate(snapshot, silently)
    part = _part(snapshot.pages, extracted)
    done = uploader.upload(part, request, observer)
    if not request.dry_run:
        pipeline.log_upload(done.outcome)
    replies = tuple(answers(settings.project.id, extracted, part, done.plan, done.outcome))
    done.outcome.pages.extend(invalid_results(part))
    return replies, done.outcome, snapshot


def answers(
    project_id: str, extracted: Sequence[Extracted], pages: Pages, plan: Plan, outcome: Outcome
) -> Iterator[Answer]:
    """Yield an answer for each extracted page, in their order.

    Args:
        project_id: the project's.
        extracted: the results of extraction.
        pages: the verdicts on their maps, and on no others.
        plan: what was to be sent.
        outcome: what was sent, and why nothing more could be.
    """
    invalid = {result.map_file: result.error for result in invalid_results(pages)}
    results = {result.page_id: result for result in outcome.pages}
    planned = {each.page.page_id: each.reason for each in plan.sends}
    for each in extracted:
        if fault := path_error(each.path):
            yield Answer(each.path, "invalid", fault)
            continue
        if each.failed or not each.map_file:
            yield Answer(each.path, "failed" if each.failed else "skipped", each.skipped)
            continue
        entry = pages.entries.get(each.map_file)
        page_id = entry.page_id if entry and entry.page_id else keys.page_id(project_id, each.path)
        result = results.get(page_id)
        if each.map_file in invalid:
            yield Answer(each.path, "invalid", invalid[each.map_file], page_id)
        elif result is not None:
            yield Answer(each.path, result.result, result.error or result.reason, page_id)
        elif page_id in planned:
            reason = outcome.stopped or planned[page_id]
            yield Answer(each.path, "failed" if outcome.stopped else "waiting", reason, page_id)
        else:
            yield Answer(each.path, "unchanged", "unchanged", page_id)


def add(total: Outcome, part: Outcome) -> None:
    """Add the outcome of one group to that of the groups before."""
    total.batches.extend(batch for batch in part.batches if batch not in total.batches)
    total.pages.extend(part.pages)
    total.unchanged += part.unchanged
    total.waiting += part.waiting
    total.stopped = part.stopped
    total.finished = part.finished


def write_reports(pipeline: Pipeline, snapshot: Snapshot, outcome: Outcome) -> Summary:
    """Write the reports of a whole stream, and return the summary of the site."""
    # A page that came twice counts as it came last, and pages that did not come may be invalid too.
    last = {page.path: page for page in outcome.pages if page.result != "invalid"}
    whole = [*last.values(), *invalid_results(snapshot.pages)]
    site = pipeline.site_summary(msgspec.structs.replace(outcome, pages=whole), snapshot)
    write_report_files(upload=upload_summary(pipeline.settings.project.id, outcome), site=site)
    return site


def _part(pages: Pages, extracted: Sequence[Extracted]) -> Pages:
    """Return the verdicts on these pages alone."""
    return pages.only({each.map_file for each in extracted if each.map_file})
