"""Valid pages + what the target holds -> a plan, with a reason for each page. Pure.

A plan is a value: a dry run prints it, `publish` performs it. Afterwards the next plan is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import MAPS_FOLDER, MOST_SLOTS
from nimbus_tasks.project.spool import Spool, among

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

#: A run that changes the content of at most this many pages is an edit.
MAX_EDITED = 3

#: How far the ledger knows a page to be: stored (its record), marked (its status too), enqueued (in the queue too: the
#: target holds it); retired: its source is gone and the target marks it inactive.
Step = Literal["stored", "marked", "enqueued", "retired"]
Reason = Literal[
    "new", "changed", "forced", "missing", "unfinished", "removed", "unchanged", "upgraded", "moved", "applied"
]
_COUNTED: tuple[Reason, ...] = ("changed", "new", "moved", "forced", "missing", "unfinished", "removed")


class _OfPage(Protocol):
    @property
    def page_id(self) -> str: ...


_One = TypeVar("_One", bound=_OfPage)
_Other = TypeVar("_Other", bound=_OfPage)


class Request(Struct, frozen=True):
    """What the user asks of an upload.

    limit: most of the changed pages to send; 0: all.
    batch: the batch to add pages to; empty: a new one.
    insist: whether a batch that takes no more pages is an error instead of a reason for a new one.
    concurrency, delay: requests at a time, and milliseconds between the starts of two in a slot; None: the settings'.
    folder: where the maps are.
    some: the maps are some pages of the site; the others stay as they are.
    path: a pattern of the pages to send; empty: all. diff: say how changed pages differ from what the target holds.
    code_quality, junit: files for a CI to read; empty: none.
    """

    limit: int = 0
    batch: str = ""
    insist: bool = True
    concurrency: int | None = None
    delay: int | None = None
    dry_run: bool = False
    force: bool = False
    folder: str = MAPS_FOLDER
    some: bool = False
    path: str = ""
    diff: bool = False
    code_quality: str = ""
    junit: str = ""

    @property
    def whole_site(self) -> bool:
        """Whether a page that is not among these is gone."""
        return self.folder == MAPS_FOLDER and not self.some and not self.path

    def check(self) -> None:
        """Check the ranges of the options.

        Raises:
            SettingsError: it names the option.
        """
        if self.limit < 0:
            raise SettingsError(f"--limit={self.limit} must be 0 or more.", "0 means: all of them.")
        if self.concurrency is not None and not 0 < self.concurrency <= MOST_SLOTS:
            raise SettingsError(f"--concurrency={self.concurrency} must be 1 to {MOST_SLOTS}.")
        if self.delay is not None and self.delay < 0:
            raise SettingsError(f"--delay={self.delay} must be 0 or more.")
        if self.diff and not self.dry_run:
            raise SettingsError("--diff needs --dry-run.", "It shows what an upload would change.")


class Held(Struct, frozen=True, gc=False):
    """What the target is known to hold of one page. `uploaded` is a time stamp of the contract."""

    page_id: str
    source_path: str
    digest: str
    batch_id: str
    uploaded: str
    step: Step


class Candidate(Struct, frozen=True, gc=False):
    """A valid page of this site. `size`: bytes of its record."""

    page_id: str
    source_path: str
    map_file: str
    digest: str
    size: int


class Planned(Struct, frozen=True, gc=False):
    """A page to send, and why. returns: its source was gone, and the target may say that it is inactive."""

    page: Candidate
    reason: Reason
    returns: bool = False


#: A page to send, and its row if it may only need to be finished where `--limit` leaves it for later.
_Wanted = tuple[Planned, Held | None]


class Plan(Struct, frozen=True):
    """What a run would do.

    sends: pages to send, in the order of their paths.
    finish: pages that an interrupted run stored but did not enqueue, in batches that are still open.
    removals: pages whose source is gone, to be marked inactive.
    unchanged: number of pages that the target holds as they are.
    waits: changed pages that `--limit` and `--path` leave for later.
    refusal: why pages whose source is gone are not marked inactive; empty where they are, or there are none.
    proposals: pages whose pending proposals `--force` discards.
    moves: page id of a page that was renamed -> its row under its former name, which is among the removals.
    """

    sends: Sequence[Planned]
    finish: Sequence[Held]
    removals: Sequence[Held]
    unchanged: int
    waits: Sequence[Planned] = ()
    refusal: str = ""
    proposals: int = 0
    moves: Mapping[str, Held] = {}

    @property
    def empty(self) -> bool:
        return not (self.sends or self.finish or self.removals)

    @property
    def is_edit(self) -> bool:
        """Whether it only changes the content of a few pages: their own records should be most of what it writes."""
        if not 0 < len(self.sends) <= MAX_EDITED or self.finish or self.removals:
            return False
        return all(planned.reason in ("changed", "forced") for planned in self.sends)

    def reasons(self) -> dict[str, int]:
        """Count the pages by reason, in a fixed order."""
        counted = dict.fromkeys(_COUNTED, 0)
        for planned in self.sends:
            counted["moved" if planned.page.page_id in self.moves else planned.reason] += 1
        counted["unfinished"] += len(self.finish)
        counted["removed"] += len(self.removals) - counted["moved"]
        return {reason: number for reason, number in counted.items() if number}


class PlanOptions(Struct, frozen=True):
    """Options of a plan. `limit` 0 means no limit; `remove` is off for a folder with some of the maps."""

    force: bool = False
    limit: int = 0
    remove: bool = True
    max_removals: int = 256


def make_plan(
    candidates: Iterable[Candidate],
    held: Iterable[Held],
    options: PlanOptions,
    *,
    open_batches: Collection[str] = (),
    failed: int = 0,
    invalid: Collection[str] = (),
    formerly: Iterable[str] = (),
    chosen: Callable[[str], bool] = lambda _: True,
) -> Plan:
    """Compare the pages here with what the target holds. Both are read once, and need not fit into memory.

    Args:
        candidates: the valid pages, each page id once, in the order of the ids.
        held: what the target holds, in the same order.
        options: the user's.
        open_batches: batches whose record is not stored yet.
        failed: number of pages here that are invalid or unreadable.
        invalid: ids of the invalid ones, where they are known: their sources are not gone.
        formerly: page ids that the ledger had before the target turned out not to hold them, in the same order.
        chosen: whether a page with this path is to be sent.
    """
    wanted: Spool[_Wanted] = Spool(_Wanted, rank=lambda each: each[0].page.source_path)
    gone: Spool[Held] = Spool(Held, rank=lambda row: row.source_path)
    finish: Spool[Held] = Spool(Held)
    here = active = 0
    was_known = among(formerly)
    for page, row in pairs(candidates, held):
        active += row is not None and row.step != "retired"
        unfinished = row if row is not None and _is_unfinished(row, open_batches) else None
        if page is None:
            assert row is not None
            if row.step != "retired" and row.page_id not in invalid:
                gone.append(row)
            elif unfinished is not None:
                finish.append(unfinished)
            continue
        here += 1
        reason = _reason(page, row, open_batches, was_known(page.page_id))
        if reason == "unchanged" and options.force and chosen(page.source_path):
            reason = "forced"
        if reason != "unchanged":
            wanted.append((Planned(page, reason, row is not None and not row.digest), unfinished))
        elif unfinished is not None:
            finish.append(unfinished)
    refusal = _refusal(len(gone), active, here, failed, options)
    removes = options.remove and not refusal
    if not removes:
        finish.extend(row for row in gone if _is_unfinished(row, open_batches))
    sends: Spool[Planned] = Spool(Planned)
    waits: Spool[Planned] = Spool(Planned)
    for planned, unfinished in wanted.in_order():
        if chosen(planned.page.source_path) and (not options.limit or len(sends) < options.limit):
            sends.append(planned)
            continue
        waits.append(planned)
        if unfinished is not None:
            finish.append(unfinished)
    return Plan(
        sends=sends,
        finish=finish,
        removals=Spool(Held, gone.in_order()) if removes else (),
        unchanged=here - len(wanted),
        waits=waits,
        refusal=refusal,
    )


def pairs(ones: Iterable[_One], others: Iterable[_Other]) -> Iterator[tuple[_One | None, _Other | None]]:
    """Yield what belongs to the same page, in the order of the page ids, which both have; None where one has none."""
    left, right = iter(ones), iter(others)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.page_id < other.page_id):
            yield one, None
            one = next(left, None)
        elif one is None or other.page_id < one.page_id:
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)


def _is_unfinished(row: Held, open_batches: Collection[str]) -> bool:
    """Return whether a page may only need its status and its place in the queue."""
    return row.step in ("stored", "marked") and row.batch_id in open_batches


def _reason(page: Candidate, row: Held | None, open_batches: Collection[str], known: bool) -> Reason:
    if row is None:
        return "missing" if known else "new"
    if row.step == "retired":
        return "new"
    if row.digest != page.digest:
        return "changed"
    if row.step != "enqueued" and row.batch_id not in open_batches:
        # Its batch ended without it: it goes into another one.
        return "unfinished"
    return "unchanged"


def _refusal(gone: int, active: int, here: int, failed: int, options: PlanOptions) -> str:
    """Return why pages whose source is gone stay as they are; empty where they may be retired."""
    few = gone <= options.max_removals and gone * 2 <= active
    if not gone or not options.remove:
        return ""
    if not here:
        return "there is no page here at all"
    if failed:
        return f"{failed} {'page' if failed == 1 else 'pages'} failed, which may be a renamed one"
    if few or options.force:
        return ""
    return (
        f"{gone} of {active} are more than half of the site or than max_removals "
        f"({options.max_removals}); --force removes them"
    )


class BatchWork(Struct, frozen=True):
    """How many of a plan's pages, in their order, are sent to one batch. An empty id stands for a new batch."""

    batch_id: str
    sends: int


def split_into_batches(plan: Plan, open_batches: Mapping[str, int], chosen: str, max_pages: int) -> list[BatchWork]:
    """Give every page of the plan a batch.

    Batches that an interrupted run left open are resumed. The pages to send go to `chosen`, else to the newest open
    batch, else to a new one; those that exceed `max_pages` go to further new ones.

    Args:
        plan: its `finish` rows are in open batches.
        open_batches: batch id -> number of its pages, oldest first.
        chosen: the batch that the user names, or empty.
        max_pages: most pages in a batch.
    """
    receiver = chosen or next(reversed(list(open_batches)), "")
    room = max(0, max_pages - open_batches.get(receiver, 0)) if receiver else 0
    first, left = min(room, len(plan.sends)), max(0, len(plan.sends) - room)
    work = [BatchWork(batch_id, first if batch_id == receiver else 0) for batch_id in open_batches]
    return work + [BatchWork("", min(max_pages, left - start)) for start in range(0, left, max_pages)]
