"""Figures: `/api/telemetry` as JSON, `/metrics` for Prometheus, and a line in the log.

Times of uploads and jobs are those of the newest assets, and depths are those of the table: all processes say the same.
Counts of requests are those of the process that answers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from sqlalchemy import func, select

from nimbus_tasks.server.claims import WAITING
from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from nimbus_tasks.server.database import Database

#: The assets that times are taken from.
NEWEST = 1000
#: How long an answer is good.
CACHE_SECONDS = 5.0
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Latency(Struct, frozen=True):
    """Milliseconds; None where nothing was measured."""

    p50: int | None = None
    p95: int | None = None
    p99: int | None = None
    count: int = 0


class Depth(Struct, frozen=True, rename="camel"):
    """What waits. urgent: of both kinds of jobs. running: jobs under way."""

    uploading: int
    image: int
    embedding: int
    urgent: int
    running: int
    dead_letters: int


class Telemetry(Struct, frozen=True, rename="camel"):
    """Figures of the whole service. upload_latency: from the signed URL to the stored file."""

    upload_latency: Latency
    image_latency: Latency
    embedding_latency: Latency
    queue_depth: Depth
    streams: int
    timestamp: int


def latency_of(milliseconds: Sequence[int]) -> Latency:
    """Return percentiles by the nearest rank."""
    if not milliseconds:
        return Latency()
    ordered = sorted(milliseconds)
    p50, p95, p99 = (ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in (50, 95, 99))
    return Latency(p50, p95, p99, len(ordered))


def read_telemetry(connection: Connection, streams: int, moment: int) -> Telemetry:
    """Return the figures. moment: epoch milliseconds."""
    times = select(assets.c.upload_ms, assets.c.image_ms, assets.c.embedding_ms)
    rows = connection.execute(times.order_by(assets.c.created_at.desc()).limit(NEWEST)).all()
    upload, image, embedding = (latency_of([row[at] for row in rows if row[at] is not None]) for at in range(3))

    def count(*where: Any) -> int:
        return connection.execute(select(func.count()).where(*where)).scalar_one()

    depth = Depth(
        uploading=count(uploads.c.expires_at > moment),
        image=count(WAITING["image"]),
        embedding=count(WAITING["embedding"]),
        urgent=count(WAITING["image"], assets.c.urgent) + count(WAITING["embedding"], assets.c.urgent),
        running=count(assets.c.lease_owner.is_not(None), assets.c.lease_until > moment),
        dead_letters=count(assets.c.failed_at.is_not(None), assets.c.deleted_at.is_(None)),
    )
    return Telemetry(upload, image, embedding, depth, streams, moment)


def log_line(figures: Telemetry) -> str:
    """Return what the log says once a minute."""
    parts = []
    for name, latency in (
        ("upload", figures.upload_latency),
        ("image", figures.image_latency),
        ("embedding", figures.embedding_latency),
    ):
        if latency.p95 is not None:
            parts.append(f"{name}_latency_p95={latency.p95}ms")
    depth = figures.queue_depth
    parts += [f"queue_image={depth.image}", f"queue_embedding={depth.embedding}", f"dead_letters={depth.dead_letters}"]
    return f"[Metrics] {' '.join(parts)}"


class Metrics:
    """What this process counts, and the figures of the whole service with it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, open files
        self._jobs = Histogram(
            "nimbus_job_seconds", "Time of jobs in this process", ["step", "outcome"], buckets=_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self._depth = Gauge("nimbus_queue_depth", "What waits", ["queue"], registry=self.registry)
        self._latency = Gauge(
            "nimbus_latency_milliseconds", "Of the newest assets", ["of", "quantile"], registry=self.registry
        )
        self._streams = Gauge("nimbus_streams", "Open progress streams of this process", registry=self.registry)
        self._requests = Counter(
            "nimbus_requests", "Answers of this process", ["method", "status"], registry=self.registry
        )
        self._known: tuple[float, Telemetry] | None = None

    def job(self, step: str, outcome: str, seconds: float) -> None:
        """Count a job that has ended. outcome: `done`, `lost`, or the class of its error."""
        self._jobs.labels(step, outcome).observe(seconds)

    def request(self, method: str, status: int) -> None:
        """Count an answer. A method that is not HTTP's own is `other`: clients must not make up labels without end."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, f"{status // 100}xx").inc()

    async def read(self, database: Database, streams: int) -> Telemetry:
        """Return the figures of the whole service, at most some seconds old."""
        if self._known is None or time.monotonic() - self._known[0] > CACHE_SECONDS:
            moment = time.time_ns() // 1_000_000
            figures = await database.read(lambda connection: read_telemetry(connection, streams, moment))
            self._known = (time.monotonic(), figures)
        return self._known[1]

    def text(self, figures: Telemetry) -> bytes:
        """Return everything in Prometheus' form."""
        for name in Depth.__struct_fields__:
            self._depth.labels(name).set(getattr(figures.queue_depth, name))
        for of in ("upload", "image", "embedding"):
            latency: Latency = getattr(figures, f"{of}_latency")
            for quantile, value in (("0.5", latency.p50), ("0.95", latency.p95), ("0.99", latency.p99)):
                if value is not None:
                    self._latency.labels(of, quantile).set(value)
        self._streams.set(figures.streams)
        return generate_latest(self.registry)
