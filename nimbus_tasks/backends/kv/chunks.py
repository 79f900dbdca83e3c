"""Which writes go into one request: a pure function of their sizes and the store's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nimbus_tasks.backends.kv import Limits

T = TypeVar("T")


def pack(things: Iterable[T], size: Callable[[T], int], limits: Limits) -> list[list[T]]:
    """Return runs of things, in order, none with more pairs or bytes than one request may carry.

    A thing that is larger than a whole request goes alone: the store says what it thinks of it.
    """
    packed: list[list[T]] = []
    run: list[T] = []
    filled = 0
    for thing in things:
        takes = size(thing)
        if run and (len(run) == limits.pairs or filled + takes > limits.bytes):
            packed.append(run)
            run, filled = [], 0
        run.append(thing)
        filled += takes
    return [*packed, run] if run else packed


def runs(things: Sequence[T], length: int) -> list[Sequence[T]]:
    """Return runs of things, in order, each of that length but the last."""
    return [things[start : start + length] for start in range(0, len(things), length)]
