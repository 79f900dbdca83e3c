"""What an upload works with: where pages go, where confirmations are recorded, and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.model.records import ProjectRecord
    from nimbus_tasks.publishing.ledger import Ledger
    from nimbus_tasks.publishing.plan import Candidate


class Context(Struct, frozen=True):
    """What an upload works with.

    project: its record as the settings have it.
    target: the name of the ledger's rows.
    name_batch: returns an id that no batch has yet.
    extraction: reads a page's map and returns what its record holds of it, or raises `UnreadableMapError`.
    audit_log: whether `logs:` records are written.
    messages: whether each enqueued page needs a message for other machines.
    slots: requests at a time.
    queues: whether pages are queued for optimisation; otherwise they get no status either.
    shows_uploads: whether batches have a record while they are uploaded.
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
    queues: bool = True
    shows_uploads: bool = False


class UnreadableMapError(Exception):
    """A map that was valid is gone or changed; the message is a sentence."""
