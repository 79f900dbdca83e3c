"""Which writes go into one request: a pure function of their sizes and the store's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nimbus_tasks.backends.kv import Limits

T = TypeVar("T")


def pack(things: Iterable[T], size: Callable[[T], int], limits: Limits) -> Iterator[list[T]]:
    """Yield runs of things, in order, none with more pairs or bytes than one request may carry.

    A thing that is larger than a whole request goes alone: the store says what it thinks of it.
    """
    run: list[T] = []
    filled = 0
    for thing in things:
        takes = size(thing)
        if run and (len(run) == limits.pairs or filled + takes > limits.bytes):
            yield run
            run, filled = [], 0
        run.append(thing)
        filled += takes
    if run:
        yield run


def runs(things: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """Yield runs of things, in order, each of that length but the last."""
    for start in range(0, len(things), length):
        yield things[start : start + length]
