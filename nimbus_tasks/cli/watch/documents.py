"""What a watch tells machines: a line of JSON a cycle (`--json`), and a file with how it stands (`--status`)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from nimbus_tasks.publishing.outcome import PageResult

#: working: a cycle is at work. waiting: changes come in. lost: something could not be sent and is tried again.
State = Literal["working", "idle", "waiting", "lost", "ended"]


class Problem(Struct, frozen=True):
    """What is wrong now. about: a file, `store`, `source` or `upload`."""

    about: str
    error: str


class Cycle(Struct, frozen=True, tag_field="event", tag="cycle"):
    """One run of the pipeline.

    at: when it ended. ms: how long it took.
    sent, removed, reasons, pages: what it did at the target.
    problems: all that is wrong now, old and new. next_try: in how many seconds it is tried again; 0: nothing failed.
    """

    at: str
    ms: int
    sent: int
    removed: int
    reasons: dict[str, int]
    pages: tuple[PageResult, ...]
    problems: tuple[Problem, ...]
    batch_id: str = ""
    next_try: float = 0


class Ended(Struct, frozen=True, tag_field="event", tag="ended"):
    """What a whole watch did. seconds: how long it lasted. cycles: those that had something to do."""

    at: str
    seconds: int
    cycles: int
    sent: int
    removed: int
    batches: tuple[str, ...]
    problems: tuple[Problem, ...]


class Status(Struct, frozen=True):
    """The status file: one document, replaced whole. A watch that was killed leaves it as it is, with its `pid`.

    since: when the watch began. updated: when this was written. last: the last cycle that did something.
    """

    state: State
    pid: int
    since: str
    updated: str
    source: str
    cycles: int
    sent: int
    removed: int
    batch_id: str
    problems: tuple[Problem, ...]
    last: Cycle | None = None
