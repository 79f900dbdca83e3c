"""Is a target whole? After all the faults it must hold every page as it is here, once in the queue and in a batch.

`judge` says what is wrong and never stops at the first thing; an honest trace of what went wrong on the way (a batch
that names a page as failed, a page that was sent again) is not wrong as long as all records agree with each other.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from nimbus_tasks.model import keys
from nimbus_tasks.model.page_map import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


#: The states of pages of this site when nothing runs.
AT_REST = {"uploaded", "queued", "done", "failed"}
ENDED = {"done", "failed", "inactive", "cancelled"}


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


def judge(project: str, content: Content, maps: Iterable[Mapping[str, Any]], *, edits: bool = False) -> Verdict:
    """Compare what a target holds with the maps that lie here.

    edits: runs that sent a few edited pages were among those before; they leave the number of batches to later ones.
    """
    here = {keys.page_id(project, each["path"]): each for each in maps}
    queue = content.values.get(f"queue:{project}", {"items": []})["items"]
    waiting = Counter(item["page_id"] for item in queue)
    due = {page_id for page_id in here if _status(project, content, page_id) not in ENDED}
    lost = {page_id: why for page_id, page in here.items() if (why := _lost(project, page_id, page, content))}
    unqueued = sorted(due - waiting.keys())
    doubled = sorted((waiting - Counter(dict.fromkeys(waiting, 1))).elements())
    wrong = [f"{page_id} is lost: {why}" for page_id, why in lost.items()]
    wrong += [f"{page_id} is not in the queue" for page_id in unqueued]
    wrong += [f"{page_id} is in the queue again" for page_id in doubled]
    wrong += [f"{page_id} is in the queue, and gone here" for page_id in sorted(waiting.keys() - here.keys())]
    wrong += [f"{page_id} is in the queue, and has ended" for page_id in sorted(waiting.keys() & here.keys() - due)]
    wrong += [f"{key} is no JSON" for key in content.broken]
    for item in queue:
        record = content.values.get(f"page:{project}:{item['page_id']}")
        if record is not None and record["batch_id"] != item["batch_id"]:
            wrong.append(f"{item['page_id']} waits under {item['batch_id']}, and is of {record['batch_id']}")
    wrong += _wrong_inactive(project, content, here.keys())
    wrong += _wrong_batches(project, content, here.keys())
    wrong += _wrong_project(project, content, len(here), edits=edits)
    return Verdict(len(lost), len(unqueued), len(doubled), wrong)


def _lost(project: str, page_id: str, page: Mapping[str, Any], content: Content) -> str:
    """Say why a page does not count as held; empty where it does."""
    key = f"page:{project}:{page_id}"
    record, metadata = content.values.get(key), content.metadata.get(key)
    status = content.values.get(f"status:{project}:{page_id}", {})
    state = status.get("status")
    if record is None:
        return "it has no record"
    if {"path": record["source_path"]} | record["extraction"] != page:
        return "its record has other content"
    told = {"batch_id": record["batch_id"], "uploaded": record["uploaded"], "digest": content_digest(page)}
    if {name: value for name, value in (metadata or {}).items() if name in told} != told:
        return f"its metadata is {metadata}, its record says {told}"
    if state not in AT_REST or status.get("batch_id") != record["batch_id"]:
        return f"its status is {status}, it is of {record['batch_id']}"
    batch = content.values.get(f"batch:{project}:{record['batch_id']}")
    if batch is None:
        return f"its batch {record['batch_id']} has no record"
    named = batch["pages"].get(page_id, {})
    if state == "uploaded" and named != {"status": "uploaded", "uploaded": record["uploaded"]}:
        return f"its batch has it as {named}, it was uploaded {record['uploaded']}"
    if (named.get("status"), named.get("uploaded")) != (state, record["uploaded"]):
        return f"its batch has it as {named}, it is {state}, and was uploaded {record['uploaded']}"
    if ("optimization" in record) != (state == "done"):
        return f"it is {state}, and its record is {'' if 'optimization' in record else 'not '}optimised"
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
        if set(states) - AT_REST - {"cancelled", "inactive"}:
            yield f"{batch_id} has pages that are {sorted(states)}"
        if batch["status"] not in _states(batch, states):
            yield f"{batch_id} is {batch['status']}, its pages are {dict(states)}"
        if not batch["page_count"] == len(batch["pages"]) > 0:
            yield f"{batch_id} counts {batch['page_count']} pages and names {len(batch['pages'])}"
        waiting = states["uploaded"] + states["queued"]
        counted = {"completed": states["done"], "failed": states["failed"], "pending": waiting}
        summary = batch["summary"]
        if summary | counted != summary or (summary["average_time_ms"] and not states["done"]):
            yield f"{batch_id} sums up {summary}, its pages give {counted}"
        for page_id, page in batch["pages"].items():
            record = content.values.get(f"page:{project}:{page_id}")
            if record is None:
                yield f"{batch_id} names {page_id}, which has no record"
            # One that was sent again waits in another batch, one that is gone in none: else this one would never end.
            elif page["status"] in ("uploaded", "queued") and (page_id not in here or record["batch_id"] != batch_id):
                yield f"{batch_id} waits for {page_id}, which has left it"


def _states(batch: Mapping[str, Any], states: Counter[str]) -> set[str]:
    """Return the states that a batch may have whose pages have these."""
    # A page that only accepted changes have changed is done from the first.
    begun = any("started" in page or page["status"] == "done" for page in batch["pages"].values())
    if states["uploaded"] or states["queued"]:
        return {"queued", "processing", "retrying"} if begun else {"queued"}
    if begun:
        # Pages that a later batch sent again, or that are gone, no longer count.
        return {"completed", "partially_completed", "failed", "cancelled"}
    # A page that was sent again, or is gone, left the batch in which it waited.
    return {"cancelled" if states["cancelled"] or not states["failed"] else "failed"}


def wrong_logs(project: str, content: Content, *, steady: bool = True) -> Iterator[str]:
    """Say which log records disagree with their pages. steady: the clock was never set."""
    prefix = f"logs:{project}:"
    for key, log in content.values.items():
        if not key.startswith(prefix):
            continue
        page_id, entries = key.removeprefix(prefix), log["entries"]
        if log["page_id"] != page_id:
            yield f"{key} is of {log['page_id']}"
        times = [entry["timestamp"] for entry in entries]
        if steady and times != sorted(times):
            yield f"{key} is out of order"
        for text, times_said in Counter(json.dumps(entry, sort_keys=True) for entry in entries).items():
            if times_said > 1:
                yield f"{key} has {text} {times_said} times"
        state = _status(project, content, page_id)
        record = content.values.get(f"page:{project}:{page_id}", {})
        ended = [entry for entry in entries if entry["step"] == "process" and entry["message"].startswith("Done")]
        if state == "done" and not any(entry["data"]["batch_id"] == record["batch_id"] for entry in ended):
            yield f"{key} does not say that the page is done"


def _status(project: str, content: Content, page_id: str) -> str:
    return content.values.get(f"status:{project}:{page_id}", {}).get("status", "")


def _wrong_project(project: str, content: Content, pages: int, *, edits: bool) -> Iterator[str]:
    usage = content.values.get(f"project:{project}", {}).get("usage", {})
    counted = {"total_pages": pages, "total_batches": len(_batches(project, content))}
    for name, number in counted.items():
        late = edits and name == "total_batches" and usage.get(name, number) < number
        if usage.get(name) != number and not late:
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
