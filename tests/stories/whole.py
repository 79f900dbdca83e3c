"""Is a target whole? After all the faults it must hold every page as it is here, once in the queue and in a batch.

`judge` says what is wrong and never stops at the first thing; an honest trace of what went wrong on the way (a batch
that names a page as failed, a page that was sent again) is not wrong as long as all records agree with each other.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from nimbus_tasks.model import records
from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Content(NamedTuple):
    """What a target holds of one project: values, the metadata of its page records, and keys whose value is no JSON."""

    values: Mapping[str, Any]
    metadata: Mapping[str, Any]
    broken: Sequence[str] = ()


class Verdict(NamedTuple):
    """What is wrong, counted and in words. `lost`: pages that are not there as they are here."""

    lost: int
    unqueued: int
    doubled: int
    wrong: list[str]

    @property
    def whole(self) -> bool:
        return not (self.lost or self.unqueued or self.doubled or self.wrong)


def judge(project: str, content: Content, maps: Iterable[Mapping[str, Any]]) -> Verdict:
    """Compare what a target holds with the maps that lie here."""
    here = {records.page_id(project, each["path"]): each for each in maps}
    queue = content.values.get(f"queue:{project}", {"items": []})["items"]
    waiting = Counter(item["page_id"] for item in queue)
    lost = {page_id: why for page_id, page in here.items() if (why := _lost(project, page_id, page, content))}
    unqueued = sorted(here.keys() - waiting.keys())
    doubled = sorted((waiting - Counter(dict.fromkeys(waiting, 1))).elements())
    wrong = [f"{page_id} is lost: {why}" for page_id, why in lost.items()]
    wrong += [f"{page_id} is not in the queue" for page_id in unqueued]
    wrong += [f"{page_id} is in the queue again" for page_id in doubled]
    wrong += [f"{page_id} is in the queue, and gone here" for page_id in sorted(waiting.keys() - here.keys())]
    wrong += [f"{key} is no JSON" for key in content.broken]
    for item in queue:
        record = content.values.get(f"page:{project}:{item['page_id']}")
        if record is not None and record["batch_id"] != item["batch_id"]:
            wrong.append(f"{item['page_id']} waits under {item['batch_id']}, and is of {record['batch_id']}")
    wrong += _wrong_inactive(project, content, here.keys())
    wrong += _wrong_batches(project, content, here.keys())
    wrong += _wrong_project(project, content, len(here))
    return Verdict(len(lost), len(unqueued), len(doubled), wrong)


def _lost(project: str, page_id: str, page: Mapping[str, Any], content: Content) -> str:
    """Say why a page does not count as held; empty where it does."""
    key = f"page:{project}:{page_id}"
    record, metadata = content.values.get(key), content.metadata.get(key)
    status = content.values.get(f"status:{project}:{page_id}", {})
    if record is None:
        return "it has no record"
    if {"path": record["source_path"]} | record["extraction"] != page:
        return "its record has other content"
    told = {"batch_id": record["batch_id"], "uploaded": record["uploaded"], "digest": content_digest(page)}
    if metadata != told:
        return f"its metadata is {metadata}, its record says {told}"
    if (status.get("status"), status.get("batch_id")) != ("uploaded", record["batch_id"]):
        return f"its status is {status}, it is of {record['batch_id']}"
    batch = content.values.get(f"batch:{project}:{record['batch_id']}")
    if batch is None:
        return f"its batch {record['batch_id']} has no record"
    named = batch["pages"].get(page_id)
    if named != {"status": "uploaded", "uploaded": record["uploaded"]}:
        return f"its batch has it as {named}, it was uploaded {record['uploaded']}"
    return ""


def _wrong_inactive(project: str, content: Content, here: Iterable[str]) -> Iterator[str]:
    """Say which pages that are gone here do not count as gone there."""
    prefix = f"page:{project}:"
    for key in content.values:
        page_id = key.removeprefix(prefix)
        if not key.startswith(prefix) or page_id in here:
            continue
        status = content.values.get(f"status:{project}:{page_id}", {}).get("status")
        digest = (content.metadata.get(key) or {}).get("digest")
        if (status, digest) != ("inactive", ""):
            yield f"{page_id} is gone here, and {status} there, with the digest {digest!r}"


def _wrong_batches(project: str, content: Content, here: Iterable[str]) -> Iterator[str]:
    for batch_id, batch in _batches(project, content).items():
        states = Counter(page["status"] for page in batch["pages"].values())
        if set(states) - {"uploaded", "failed", "cancelled", "inactive"}:
            yield f"{batch_id} has pages that are {sorted(states)}"
        # A page that was sent again, or is gone, left the batch in which it waited.
        ended = "cancelled" if states["cancelled"] or not states["failed"] else "failed"
        if batch["status"] != ("queued" if states["uploaded"] else ended):
            yield f"{batch_id} is {batch['status']}, its pages are {dict(states)}"
        if not batch["page_count"] == len(batch["pages"]) > 0:
            yield f"{batch_id} counts {batch['page_count']} pages and names {len(batch['pages'])}"
        counted = {"completed": 0, "failed": states["failed"], "pending": states["uploaded"], "average_time_ms": 0}
        if batch["summary"] != counted:
            yield f"{batch_id} sums up {batch['summary']}, its pages give {counted}"
        for page_id, page in batch["pages"].items():
            record = content.values.get(f"page:{project}:{page_id}")
            if record is None:
                yield f"{batch_id} names {page_id}, which has no record"
            # One that was sent again waits in another batch, one that is gone in none: else this one would never end.
            elif page["status"] == "uploaded" and (page_id not in here or record["batch_id"] != batch_id):
                yield f"{batch_id} waits for {page_id}, which has left it"


def _wrong_project(project: str, content: Content, pages: int) -> Iterator[str]:
    usage = content.values.get(f"project:{project}", {}).get("usage", {})
    counted = {"total_pages": pages, "total_batches": len(_batches(project, content))}
    for name, number in counted.items():
        if usage.get(name) != number:
            yield f"the project's {name} is {usage.get(name)}, counted: {number}"


def _batches(project: str, content: Content) -> dict[str, Any]:
    prefix = f"batch:{project}:"
    return {key.removeprefix(prefix): value for key, value in content.values.items() if key.startswith(prefix)}


def content_of(values: Mapping[str, str], metadata: Mapping[str, Any]) -> Content:
    """Return what a target holds, from the text of its values."""
    read: dict[str, Any] = {}
    broken = []
    for key, text in values.items():
        try:
            read[key] = json.loads(text)
        except ValueError:
            broken.append(key)
    return Content(read, metadata, broken)
