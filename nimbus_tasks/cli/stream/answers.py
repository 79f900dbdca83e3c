"""What became of each page of a group, as it is answered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.html.validate.rules import path_error
from nimbus_tasks.model import records
from nimbus_tasks.pipeline.summary import invalid_results
from nimbus_tasks.publishing.outcome import ResultName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.pipeline.extract_files import Extracted
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.publishing.outcome import Outcome
    from nimbus_tasks.publishing.plan import Plan


class Answer(Struct, frozen=True, omit_defaults=True):
    """One page's answer.

    page_id: left out where the page is none to publish.
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


def answers(
    project_id: str, extracted: Sequence[Extracted], pages: Pages, plan: Plan, outcome: Outcome
) -> Iterator[Answer]:
    """Yield an answer for each page that was extracted, in their order.

    Args:
        project_id: the project's.
        extracted: what extraction made of each page.
        pages: what validation says of their maps, and of no others.
        plan: what was to be sent.
        outcome: what was, or that nothing more could be.
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
        page_id = records.page_id(project_id, each.path)
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
