"""What a page keeps when its record is replaced: accepted changes, and proposals where nothing else changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.changes import read_accepted, read_optimization
from nimbus_tasks.publishing.upgrades import keep_proposals

if TYPE_CHECKING:
    from nimbus_tasks.html.apply.accepted import Accepted
    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.records import PageRecord, PageStatus

#: Why a page is not queued again: a new version of our extraction made its map, or only accepted changes are new.
Kept = Literal["upgraded", "applied"]


def keep_changes(record: PageRecord, former: PageRecord, *, done: bool) -> Kept | None:
    """Carry accepted changes over to the new record of a page, and its proposals if the page is not queued again.

    done: an optimiser has finished with the former record, and nobody asked for another run.
    """
    optimization = read_optimization(former.optimization)
    proposed = optimization.optimized_blocks if optimization is not None else ()
    accepted = _find(record, former, proposed)
    if accepted.changes:
        record.accepted = msgspec.Raw(msgspec.json.encode(accepted.changes))
    if not done:
        return None
    if (proposals := keep_proposals(former, record.extraction)) is not None:
        record.batch_id, record.optimization = former.batch_id, proposals
        return "upgraded"
    if optimization is None or former.optimization is UNSET or not accepted.only_these:
        return None
    content = msgspec.json.decode(former.optimization, type=dict[str, Any])
    left = accepted.pending(proposed)
    record.optimization = msgspec.Raw(msgspec.json.encode(content | {"optimized_blocks": left, "changes": len(left)}))
    return "applied"


def status_of(record: PageRecord, done: PageStatus) -> PageStatus:
    """Return the status of a page that keeps its proposals in a new batch."""
    status = msgspec.structs.replace(done, batch_id=record.batch_id, updated=record.uploaded)
    left = read_optimization(record.optimization)
    if left is not None and status.result is not UNSET:
        status.result = msgspec.structs.replace(status.result, changes=len(left.optimized_blocks))
    return status


def _find(record: PageRecord, former: PageRecord, proposed: tuple[Change, ...]) -> Accepted:
    from nimbus_tasks.html.apply.accepted import Accepted, Content, find_accepted

    try:
        old, new = (msgspec.json.decode(each.extraction, type=Content) for each in (former, record))
    except msgspec.MsgspecError:
        return Accepted()  # another tool's
    return find_accepted(old, new, read_accepted(former.accepted), proposed)
