"""How programs that are not ours speak to the store: the classic uploader, its retry, its worker, a status-only worker.

Written from the contract alone: nothing here imports `nimbus_tasks`. Each reads and writes one key a request and knows
no compare-and-set, so that two of them at once may lose each other's writes.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Pages that it uploads at a time.
CONCURRENCY = 5


class Kv(Protocol):
    """One key a request: `PUT /kv/{key}` and `GET /kv/{key}`, or the same upon the embedded store."""

    def put(self, key: str, value: str, metadata: Mapping[str, Any] | None = None) -> None: ...

    def get(self, key: str) -> str | None: ...


def moment(seconds: float = 0.0) -> str:
    """Return `new Date().toISOString()`, so many seconds from now."""
    time = datetime.now(UTC) + timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


class Records:
    """The records of one project, as JSON.stringify writes them."""

    def __init__(self, kv: Kv, project_id: str) -> None:
        self._kv, self.project_id = kv, project_id

    def read(self, kind: str, *name: str) -> Any:
        value = self._kv.get(":".join((kind, self.project_id, *name)))
        return None if value is None else json.loads(value)

    def write(self, record: object, kind: str, *name: str, metadata: Mapping[str, Any] | None = None) -> None:
        value = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
        self._kv.put(":".join((kind, self.project_id, *name)), value, metadata)

    def status(self, page_id: str) -> Any:
        return self.read("status", page_id)

    def batch(self, batch_id: str) -> Any:
        return self.read("batch", batch_id)

    def queue(self) -> list[dict[str, Any]]:
        return (self.read("queue") or {"items": []})["items"]

    def write_queue(self, items: Sequence[object]) -> None:
        self.write({"items": items, "last_processed": moment()}, "queue")


def page_id(project_id: str, source_path: str) -> str:
    return f"page_{md5((project_id + source_path).encode(), usedforsecurity=False).hexdigest()[:12]}"


class Uploader:
    """`gulp nimbus:upload` and `gulp nimbus:batch:retry` of the classic client.

    races: each five pages read the queue before one of them writes it, so that four of the five entries are lost.
    """

    def __init__(self, records: Records, *, races: bool = False) -> None:
        self.records = records
        self._meeting = threading.Barrier(CONCURRENCY) if races else None
        self._turn = threading.Lock()

    def upload(self, batch_id: str, maps: Iterable[Mapping[str, Any]]) -> list[str]:
        """Upload pages, five at a time, and return their ids."""
        pages = list(maps)
        self._create_batch(batch_id, len(pages))
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            ids = list(pool.map(lambda page: self._upload_page(batch_id, page), pages))
        self.update_batch_status(batch_id, ids)
        return ids

    def _create_batch(self, batch_id: str, page_count: int) -> None:
        batch = {
            "batch_id": batch_id,
            "project_id": self.records.project_id,
            "created": moment(),
            "page_count": page_count,
            "status": "uploading",
            "pages": {},
            "summary": {"completed": 0, "failed": 0, "pending": page_count},  # no average_time_ms
        }
        self.records.write(batch, "batch", batch_id)

    def _upload_page(self, batch_id: str, page: Mapping[str, Any]) -> str:
        project_id, path = self.records.project_id, page["path"]
        identity, uploaded = page_id(project_id, path), moment()
        record = {
            "page_id": identity,
            "project_id": project_id,
            "batch_id": batch_id,
            "source_path": path,
            "uploaded": uploaded,
            "extraction": {name: value for name, value in page.items() if name != "path"},
        }
        metadata = {"batch_id": batch_id, "uploaded": uploaded}  # no digest
        self.records.write(record, "page", identity, metadata=metadata)
        self.records.write({"status": "uploaded", "batch_id": batch_id, "updated": moment()}, "status", identity)
        self._queue(lambda items: [*items, _entry(identity, batch_id, 5, 0)])
        return identity

    def _queue(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        if self._meeting is not None:
            items = self.records.queue()
            self._meeting.wait()
            self.records.write_queue(change(items))
        else:
            with self._turn:
                self.records.write_queue(change(self.records.queue()))

    def update_batch_status(self, batch_id: str, page_ids: Iterable[str]) -> None:
        """Name the pages in their batch, each with a time of its own: later than `uploaded` of its record."""
        batch = self.records.batch(batch_id)
        for each in page_ids:
            batch["pages"][each] = {"status": "uploaded", "uploaded": moment(0.002)}
        batch["status"] = "queued"
        batch["summary"] = {"completed": 0, "failed": 0, "pending": len(batch["pages"])}
        self.records.write(batch, "batch", batch_id)

    def retry(self, batch_id: str) -> list[str]:
        """Queue failed pages again; the batch stays as it is."""
        failed = []
        for each in self.records.batch(batch_id)["pages"]:
            if self.records.status(each)["status"] == "failed":
                self.records.write({"status": "queued", "batch_id": batch_id, "updated": moment()}, "status", each)
                entry = _entry(each, batch_id, 8, 1)
                self._queue(lambda items, entry=entry: [*items, entry])  # type: ignore[misc]
                failed.append(each)
        return failed


class StatusWorker:
    """A worker that writes `status:` records and nothing else: not the batch, not the queue."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def mark(self, page: str, batch_id: str, ago: float = 0.0) -> None:
        """Begin a page, so many seconds ago."""
        started = moment(-ago)
        processing = {"started": started, "current_step": "optimize", "progress": 10}
        status = {"status": "processing", "batch_id": batch_id, "updated": started, "processing": processing}
        self.records.write(status, "status", page)

    def finish(self, page: str, batch_id: str) -> None:
        now = moment()
        result = {"completed": now, "success": True, "changes": 2, "confidence": 0.9}
        status = {"status": "done", "batch_id": batch_id, "updated": now, "result": result}
        self.records.write(status, "status", page)

    def fail(self, page: str, batch_id: str) -> None:
        now = moment()
        error = {"message": "The model did not answer", "code": "timeout", "timestamp": now}
        status = {"status": "failed", "batch_id": batch_id, "updated": now, "error": error}
        self.records.write(status, "status", page)


class Worker(StatusWorker):
    """The classic worker: statuses, the batch, the queue. A batch ends as `completed`, whatever failed in it."""

    def work(self, batch_id: str, *, fails: Iterable[str] = (), limit: int | None = None) -> None:
        """Process the pages of a batch that wait."""
        for entry in [each for each in self.records.queue() if each["batch_id"] == batch_id][:limit]:
            page = entry["page_id"]
            self.mark(page, batch_id)
            self._tell(batch_id, page, {"status": "processing", "started": moment()})
            if page in set(fails):
                self.fail(page, batch_id)
                self._tell(batch_id, page, {"status": "failed", "completed": moment(), "error": "timeout"})
            else:
                self.finish(page, batch_id)
                self._tell(batch_id, page, {"status": "done", "completed": moment()})
            self.records.write_queue([each for each in self.records.queue() if each["page_id"] != page])

    def _tell(self, batch_id: str, page: str, news: Mapping[str, str]) -> None:
        batch = self.records.batch(batch_id)
        batch["pages"][page] |= news
        states = [each["status"] for each in batch["pages"].values()]
        done, failed = states.count("done"), states.count("failed")
        pending = len(states) - done - failed
        batch["status"] = "processing" if pending else "completed"
        batch["summary"] = {"completed": done, "failed": failed, "pending": pending}
        self.records.write(batch, "batch", batch_id)


def _entry(page: str, batch_id: str, priority: int, attempts: int) -> dict[str, Any]:
    return {
        "page_id": page,
        "batch_id": batch_id,
        "priority": priority,
        "queued_at": moment(),
        "attempts": attempts,
    }
