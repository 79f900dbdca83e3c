"""One request as the endpoints see it, and all that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from msgspec import Struct

from nimbus_tasks.backends.kv.fake.answers import wrong_body
from nimbus_tasks.backends.kv.fake.clock import Clock
from nimbus_tasks.backends.kv.fake.journal import Counts, Journal
from nimbus_tasks.backends.kv.fake.quotas import DailyWrites, Misfortune, RateLimit, WriteSpacing
from nimbus_tasks.backends.kv.fake.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.backends.kv.fake.options import Options


class Call(Struct, frozen=True):
    """A request that was let in. `key` is the last segment of its path, still encoded."""

    query: Mapping[str, str]
    content_type: str
    body: bytes
    now: float
    namespace: int = 0
    key: str = ""


class Cloud:
    """What stands behind the API."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock()
        self.store = Store(options.file, options.lag)
        self.rate = RateLimit(options.requests, options.window, options.blocked)
        self.daily_writes = DailyWrites(options.daily_writes)
        self.spacing = WriteSpacing(strict=options.strict_writes)
        self.misfortune = Misfortune(options.unsuccessful, options.seed)
        self.journal = Journal(options.journal)
        self.counts = Counts()
        for identifier, title in options.namespaces.items():
            self.store.add_namespace(identifier, title)

    def close(self) -> None:
        self.store.close()
        self.journal.close()


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, the last of each name.

    Raises:
        Refusal: it is not UTF-8.
    """
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise wrong_body("could not decode the query string") from None
