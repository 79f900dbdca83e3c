"""What uploads of files did, in numbers: for summaries, for programs, and as text for Prometheus."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.model.errors import FileError, RefusedError, StoreError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Uploads that the percentiles of a program that runs for ever are taken from: the latest ones.
LATEST = 1000
#: Why a file failed. unreadable: it cannot be read, or changed meanwhile. refused: the store refuses it. unavailable:
#: the store did not answer, after all attempts. store: its credentials, or the store as a whole. record: the file is
#: stored, and its record is not. request: a name or a value that the caller gave.
Failure = Literal["unreadable", "refused", "unavailable", "store", "record", "request"]


class UploadMetrics(Struct, frozen=True):
    """What uploads did.

    uploaded, recorded, failed: files. bytes: that went up. latency: milliseconds of an upload, p50, p95 and p99.
    failures: failed files by class.
    """

    uploaded: int = 0
    recorded: int = 0
    failed: int = 0
    bytes: int = 0
    latency: dict[str, int] = {}
    failures: dict[str, int] = {}

    def prometheus(self, **labels: str) -> str:
        """Return the numbers as counters in Prometheus's text format, each with these labels."""
        return "".join(_metrics(self, "nimbus_assets", "_total", "counter", labels))


class Meter:
    """Counts uploads as they end."""

    def __init__(self) -> None:
        self._uploaded = self._bytes = 0
        self._failures: Counter[str] = Counter()
        self._latest: deque[int] = deque(maxlen=LATEST)

    def uploaded(self, size: int, ms: int) -> None:
        self._uploaded += 1
        self._bytes += size
        self._latest.append(ms)

    def failed(self, failure: Failure) -> None:
        self._failures[failure] += 1

    def read(self) -> UploadMetrics:
        """Return the numbers since the beginning; the percentiles are those of the latest uploads."""
        return UploadMetrics(
            uploaded=self._uploaded,
            failed=self._failures.total(),
            bytes=self._bytes,
            latency=percentiles(self._latest),
            failures=dict(self._failures),
        )


def failure_of(error: Exception) -> Failure:
    """Return the class of an error."""
    match error:
        case FileError() | OSError():
            return "unreadable"
        case RefusedError():
            return "refused"
        case TransientError():
            return "unavailable"
        case StoreError():
            return "store"
        case _:
            return "request"


def percentiles(values: Iterable[int]) -> dict[str, int]:
    """Return p50, p95 and p99 of these values; empty where there are none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}


def last_run(metrics: UploadMetrics, seconds: float, labels: Mapping[str, str], *, complete: bool) -> str:
    """Return a run that has ended as gauges in Prometheus's text format, for node_exporter's textfile collector."""
    name = "nimbus_assets_last_run"
    more = {
        "timestamp_seconds": ("When the run ended, in seconds since 1970.", time.time()),
        "duration_seconds": ("How long the run took.", seconds),
        "complete": ("1 where the store has all files, otherwise 0.", float(complete)),
    }
    single = (_metric(f"{name}_{last}", "gauge", help_, [("", value)], labels) for last, (help_, value) in more.items())
    return "".join([*_metrics(metrics, name, "", "gauge", labels), *single])


def _metrics(metrics: UploadMetrics, name: str, end: str, kind: str, labels: Mapping[str, str]) -> Iterator[str]:
    results = {result: float(getattr(metrics, result)) for result in ("uploaded", "recorded", "failed")}
    by_result = [(_label("result", result), number) for result, number in results.items()]
    yield _metric(f"{name}_files{end}", kind, "Files, equal ones as one, by result.", by_result, labels)
    yield _metric(f"{name}_bytes{end}", kind, "Bytes that went up.", [("", float(metrics.bytes))], labels)
    by_class = [(_label("class", each), float(number)) for each, number in sorted(metrics.failures.items())]
    yield _metric(f"{name}_failures{end}", kind, "Failed files by class.", by_class, labels)
    quantiles = [(_label("quantile", f"0.{each[1:]}"), ms / 1000) for each, ms in metrics.latency.items()]
    yield _metric(f"{name}_upload_seconds", "gauge", "Seconds of an upload.", quantiles, labels)


def _metric(name: str, kind: str, help_: str, samples: Iterable[tuple[str, float]], labels: Mapping[str, str]) -> str:
    """Return a metric in Prometheus's text format; empty where it has no sample."""
    common = [_label(each, value) for each, value in labels.items()]
    lines = [f"{name}{{{','.join(filter(None, [*common, own]))}}} {value:.16g}\n" for own, value in samples]
    return f"# HELP {name} {help_}\n# TYPE {name} {kind}\n{''.join(lines)}" if lines else ""


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'
