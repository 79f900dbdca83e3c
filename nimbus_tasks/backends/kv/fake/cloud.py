"""What the endpoints share, and what they take: the options, the state, and one admitted request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.backends.kv.fake import limits
from nimbus_tasks.backends.kv.fake.inspection import Counts, Journal
from nimbus_tasks.backends.kv.fake.limits import Clock, DailyWrites, FailingShare, RateLimit, WriteSpacing
from nimbus_tasks.backends.kv.fake.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping


class Options(Struct, frozen=True):
    """How the fake behaves. Without an account or namespaces, any is accepted, and created when first used."""

    port: int = 0
    account: str | None = None
    namespaces: dict[str, str] = {}
    file: str = ":memory:"
    journal: Path | None = None
    requests: int = limits.REQUESTS
    window: float = limits.WINDOW_SECONDS
    blocked: float = limits.BLOCKED_SECONDS
    daily_writes: int | None = None
    unsuccessful: float = 0.0
    seed: int = 0
    lag: float = 0.0
    strict_writes: bool = False
    until_stdin_closes: bool = False


class Cloud:
    """What the endpoints share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock()
        self.store = Store(options.file, options.lag)
        self.rate = RateLimit(options.requests, options.window, options.blocked)
        self.daily_writes = DailyWrites(options.daily_writes)
        self.spacing = WriteSpacing(strict=options.strict_writes)
        self.failing = FailingShare(options.unsuccessful, options.seed)
        self.journal = Journal(options.journal)
        self.counts = Counts()
        for identifier, title in options.namespaces.items():
            self.store.add_namespace(identifier, title)

    def close(self) -> None:
        self.store.close()
        self.journal.close()


class Call(Struct, frozen=True):
    """A request that was admitted. `key` is the last segment of its path, still encoded."""

    query: Mapping[str, str]
    content_type: str
    body: bytes
    now: float
    namespace: int = 0
    key: str = ""
