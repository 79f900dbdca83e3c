"""Valid pages + what the target holds -> a plan, with a reason for each page. Pure.

A plan is a value: a dry run prints it, `publish` performs it. After it has been performed, the next is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

#: How far a page came: its record is stored, its status is written, it stands in the queue (then it is held).
#: inactive: its source is gone, and the target knows.
Step = Literal["stored", "marked", "queued", "inactive"]
Reason = Literal["new", "changed", "forced", "missing", "unfinished", "removed", "unchanged"]


_COUNTED: tuple[Reason, ...] = ("changed", "new", "forced", "missing", "unfinished", "removed")


class Held(Struct, frozen=True, gc=False):
    """What the target is known to hold of one page. `uploaded` is a time stamp of the contract."""

    page_id: str
    source_path: str
    digest: str
    batch_id: str
    uploaded: str
    step: Step


class Candidate(Struct, frozen=True, gc=False):
    """A valid page as it lies here. `size` is what its record takes, in bytes."""

    page_id: str
    source_path: str
    map_file: str
    digest: str
    size: int


class Planned(Struct, frozen=True, gc=False):
    """A page to send, and why."""

    page: Candidate
    reason: Reason


class Plan(Struct, frozen=True):
    """What a run would do.

    sends: pages to send, in the order of their paths.
    finish: pages that a killed run stored but did not queue, in batches that are still open.
    removals: pages whose source is gone, to be marked inactive.
    unchanged: how many pages the target holds as they are.
    waits: changed pages that `--limit` leaves for later.
    refusal: why pages whose source is gone are not marked inactive; empty where they are, or there are none.
    """

    sends: tuple[Planned, ...]
    finish: tuple[Held, ...]
    removals: tuple[Held, ...]
    unchanged: int
    waits: tuple[Planned, ...] = ()
    refusal: str = ""

    @property
    def empty(self) -> bool:
        return not (self.sends or self.finish or self.removals)

    def reasons(self) -> dict[str, int]:
        """Count the pages by reason, in a fixed order."""
        counted = dict.fromkeys(_COUNTED, 0)
        for planned in self.sends:
            counted[planned.reason] += 1
        counted["unfinished"] += len(self.finish)
        counted["removed"] += len(self.removals)
        return {reason: number for reason, number in counted.items() if number}


class Wishes(Struct, frozen=True):
    """What the user asks of a plan. A limit of 0 is none; `remove` is off for a folder of some of the maps."""

    force: bool = False
    limit: int = 0
    remove: bool = True
    max_removals: int = 256


def make_plan(
    candidates: Iterable[Candidate],
    held: Mapping[str, Held],
    wishes: Wishes,
    *,
    open_batches: Collection[str] = (),
    failed: int = 0,
    formerly: Collection[str] = (),
) -> Plan:
    """Compare the pages here with what the target holds.

    Args:
        candidates: the valid pages, each page id once.
        held: by page id.
        wishes: the user's.
        open_batches: batches whose record is not stored yet.
        failed: how many pages here are invalid or could not be read.
        formerly: page ids that were known to be held before the target turned out not to hold them.
    """
    pages = sorted(candidates, key=lambda page: page.source_path)
    wanted: list[Planned] = []
    for page in pages:
        reason = _reason(page, held.get(page.page_id), open_batches, page.page_id in formerly)
        if reason == "unchanged" and wishes.force:
            reason = "forced"
        if reason != "unchanged":
            wanted.append(Planned(page, reason))
    sends = tuple(wanted[: wishes.limit] if wishes.limit else wanted)
    here = {page.page_id for page in pages}
    gone = [row for row in held.values() if row.page_id not in here and row.step != "inactive"]
    active = sum(row.step != "inactive" for row in held.values())
    refusal = _refusal(gone, active, len(pages), failed, wishes)
    removals = () if refusal or not wishes.remove else tuple(sorted(gone, key=lambda row: row.source_path))
    return Plan(
        sends=sends,
        finish=tuple(_to_finish(held, open_batches, sends, removals)),
        removals=removals,
        unchanged=len(pages) - len(wanted),
        waits=tuple(wanted[len(sends) :]),
        refusal=refusal,
    )


def _reason(page: Candidate, row: Held | None, open_batches: Collection[str], known: bool) -> Reason:
    if row is None:
        return "missing" if known else "new"
    if row.step == "inactive":
        return "new"
    if row.digest != page.digest:
        return "changed"
    if row.step != "queued" and row.batch_id not in open_batches:
        # Its batch ended without it: it goes into another one.
        return "unfinished"
    return "unchanged"


def _to_finish(
    held: Mapping[str, Held],
    open_batches: Collection[str],
    sends: Sequence[Planned],
    removals: Sequence[Held],
) -> Iterator[Held]:
    """Yield the pages that only wait for their status and their place in the queue."""
    elsewhere = {planned.page.page_id for planned in sends} | {row.page_id for row in removals}
    for row in held.values():
        if row.step in ("stored", "marked") and row.batch_id in open_batches and row.page_id not in elsewhere:
            yield row


def _refusal(gone: Sequence[Held], active: int, here: int, failed: int, wishes: Wishes) -> str:
    """Say why pages whose source is gone stay as they are; empty where nothing stands against it."""
    few = len(gone) <= wishes.max_removals and len(gone) * 2 <= active
    if not gone or not wishes.remove:
        return ""
    if not here:
        return "there is no page here at all"
    if failed:
        return f"{failed} {'page' if failed == 1 else 'pages'} failed, and may be the same under another name"
    if few or wishes.force:
        return ""
    return (
        f"{len(gone)} of {active} are more than half of the site or than max_removals "
        f"({wishes.max_removals}); --force does it"
    )


class BatchWork(Struct, frozen=True):
    """What one batch gets in a run; an empty id is a batch still to be named."""

    batch_id: str
    finish: tuple[Held, ...]
    sends: tuple[Planned, ...]


def split_into_batches(plan: Plan, open_batches: Mapping[str, int], chosen: str, max_pages: int) -> list[BatchWork]:
    """Give every page of the plan a batch.

    Batches that a killed run left open are gone on with. `chosen` gets the pages to send, else the newest open
    one, else a new one; what a batch may not hold any more goes to further new ones.

    Args:
        plan: its `finish` rows name their batches.
        open_batches: batch id -> how many pages it has, oldest first.
        chosen: the batch to go on with, or empty.
        max_pages: how many pages a batch may hold.
    """
    finish: dict[str, list[Held]] = {batch_id: [] for batch_id in open_batches}
    for row in plan.finish:
        finish[row.batch_id].append(row)
    receiver = chosen or next(reversed(list(open_batches)), "")
    room = max(0, max_pages - open_batches.get(receiver, 0)) if receiver else 0
    work = [
        BatchWork(batch_id, tuple(rows), plan.sends[:room] if batch_id == receiver else ())
        for batch_id, rows in finish.items()
    ]
    rest = plan.sends[room:]
    work += [BatchWork("", (), rest[i : i + max_pages]) for i in range(0, len(rest), max_pages)]
    return work
