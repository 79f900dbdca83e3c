"""What a run works with, and to whom it tells what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import ProjectRecord
    from nimbus_tasks.publishing.ledger import Ledger
    from nimbus_tasks.publishing.outcome import PageResult
    from nimbus_tasks.publishing.plan import Candidate, Plan


class Context(Struct, frozen=True):
    """Where pages go, where confirmations are noted, and what time it is.

    project: its record as the settings have it.
    name_batch: returns an id that no batch has yet.
    extraction: reads a page's map and returns what its record holds of it, or raises `UnreadableMapError`.
    audit_log: whether `logs:` records are written.
    messages: whether each page that is queued needs a message, for other machines.
    slots: requests at a time, at most.
    """

    project: ProjectRecord
    target: str
    store: Store
    ledger: Ledger
    clock: Callable[[], str]
    name_batch: Callable[[], Awaitable[str]]
    extraction: Callable[[Candidate], msgspec.Raw]
    audit_log: bool = True
    messages: bool = False
    slots: int = 5


class UnreadableMapError(Exception):
    """A map that was valid is gone or different now; the message says so in a sentence."""


class Observer(Protocol):
    """Is told what happens, as it happens."""

    def plan(self, plan: Plan) -> None: ...

    def batch(self, batch_id: str) -> None: ...

    def page(self, result: PageResult) -> None: ...

    def waiting(self, seconds: float, why: str) -> None: ...
