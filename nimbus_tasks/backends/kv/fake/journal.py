"""What was asked: a line of JSON a request in a file, and the counts of all. Neither holds a header."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path


class Entry(Struct):
    """One request. `path` is without account and namespace; bytes are those of the bodies; `pairs` what it carried."""

    time: float
    method: str
    path: str
    query: str
    status: int
    request_bytes: int
    response_bytes: int
    pairs: int
    wrote: bool


class Journal:
    """Appends to a file. A line is there before its answer is sent."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab", buffering=0) if path else None

    def record(self, entry: Entry) -> None:
        if self._file:
            self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        if self._file:
            self._file.close()


class Counts:
    """Totals since the start, or since they were last cleared."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.totals: Counter[str] = Counter(
            dict.fromkeys(("writes", "reads", "deletes", "lists", "bytes_in", "bytes_out"), 0)
        )

    def add(self, route: str, entry: Entry, done: dict[str, int]) -> None:
        self.requests[f"{entry.method} {route}"] += 1
        self.statuses[str(entry.status)] += 1
        self.totals.update(done)
        self.totals.update(bytes_in=entry.request_bytes, bytes_out=entry.response_bytes)

    def as_json(self) -> dict[str, Any]:
        return {"requests": self.requests, "statuses": self.statuses, **self.totals}
