"""What a page keeps when its record is replaced: accepted changes, and proposals where nothing else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.changes import read_accepted, read_optimization
from nimbus_tasks.publishing.upgrades import keep_proposals, move_proposals

if TYPE_CHECKING:
    from msgspec import Raw

    from nimbus_tasks.html.apply.accepted import Accepted
    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.records import PageRecord, PageStatus


class Kept(NamedTuple):
    """What a page keeps.

    reason: why it stays done: a new version of our extraction made its map, only accepted changes are new, or it was
    renamed; None: it is queued. status: of a page that stays done in its new batch. lacking: it has accepted changes
    that are to be made again.
    """

    reason: Literal["upgraded", "applied", "moved"] | None = None
    status: PageStatus | None = None
    lacking: bool = False


def keep_changes(record: PageRecord, former: PageRecord, done: PageStatus | None) -> Kept:
    """Carry accepted changes over to the new record of a page, and its proposals if the page is not queued again.

    done: its status, if an optimiser has finished with the former record and nobody asked for another run.
    """
    accepted, proposed = _carry(record, former)
    if done is None:
        return Kept(lacking=accepted.lacking)
    if (proposals := keep_proposals(former, record.extraction)) is not None:
        record.batch_id, record.optimization = former.batch_id, proposals
        return Kept("upgraded", lacking=accepted.lacking)
    if former.optimization is UNSET or proposed is None or not accepted.only_these:
        return Kept(lacking=accepted.lacking)
    record.optimization = _with_proposals(former.optimization, accepted.pending(proposed))
    return Kept("applied", status_of(record, done), accepted.lacking)


def keep_moved(record: PageRecord, former: PageRecord, done: PageStatus | None) -> Kept:
    """Carry accepted changes over to the record of a renamed page, and its proposals if the page is not queued again.

    done: its status, if an optimiser has finished with the page under its former name.
    """
    if former.optimization is UNSET and former.accepted is UNSET:
        return Kept()  # as most are
    accepted, proposed = _carry(record, former)
    if done is None or former.optimization is UNSET or proposed is None:
        return Kept(lacking=accepted.lacking)
    left = _with_proposals(former.optimization, accepted.pending(proposed))
    proposals = move_proposals(msgspec.structs.replace(former, optimization=left), record.extraction)
    if proposals is None:
        return Kept(lacking=accepted.lacking)
    record.optimization = proposals
    return Kept("moved", status_of(record, done), accepted.lacking)


def status_of(record: PageRecord, done: PageStatus) -> PageStatus:
    """Return the status of a page that keeps its proposals in a new batch."""
    status = msgspec.structs.replace(done, batch_id=record.batch_id, updated=record.uploaded)
    left = read_optimization(record.optimization)
    if left is not None and status.result is not UNSET:
        status.result = msgspec.structs.replace(status.result, changes=len(left.optimized_blocks))
    return status


def _carry(record: PageRecord, former: PageRecord) -> tuple[Accepted, tuple[Change, ...] | None]:
    """Give a record the accepted changes of the one before; return them, and that one's proposals, if it has any."""
    optimization = read_optimization(former.optimization)
    proposed = None if optimization is None else optimization.optimized_blocks
    accepted = _find(record, former, proposed or ())
    if accepted.changes:
        record.accepted = msgspec.Raw(msgspec.json.encode(accepted.changes))
    return accepted, proposed


def _with_proposals(optimization: Raw, left: tuple[Change, ...]) -> Raw:
    content = msgspec.json.decode(optimization, type=dict[str, Any])
    return msgspec.Raw(msgspec.json.encode(content | {"optimized_blocks": left, "changes": len(left)}))


def _find(record: PageRecord, former: PageRecord, proposed: tuple[Change, ...]) -> Accepted:
    from nimbus_tasks.html.apply.accepted import Accepted, Content, find_accepted

    try:
        old, new = (msgspec.json.decode(each.extraction, type=Content) for each in (former, record))
    except msgspec.MsgspecError:
        return Accepted()  # another tool's
    return find_accepted(old, new, read_accepted(former.accepted), proposed)
