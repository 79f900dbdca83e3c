"""A list that goes to disk once it is long, so that memory does not grow with the site."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project.sqlite import Connection, errors_as, scratch

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

#: Items that are kept in memory: those before them are on disk.
PART = 4096
#: Items that are read at once.
READ_AT_ONCE = 500
_TABLE = "CREATE TABLE item(number INTEGER PRIMARY KEY, rank TEXT, value BLOB)"
_SELECT_SOME = "SELECT value FROM item WHERE number >= ? ORDER BY number LIMIT ?"


class Spool(Sequence[T], Generic[T]):
    """A list of values of one type that can be appended to and read; what is on disk is read anew each time.

    rank: what `in_order` sorts by.
    """

    def __init__(
        self, shape: Any, items: Iterable[T] = (), *, rank: Callable[[T], str] = lambda _: "", part: int = PART
    ) -> None:
        self._decode = msgspec.msgpack.Decoder(shape).decode
        self._rank, self._part = rank, part
        self._recent: list[T] = []
        self._written = 0
        self._database: Connection | None = None
        self.extend(items)

    def append(self, item: T) -> None:
        self._recent.append(item)
        if len(self._recent) >= self._part:
            self._write()

    def extend(self, items: Iterable[T]) -> None:
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._written + len(self._recent)

    def __iter__(self) -> Iterator[T]:
        number = 0
        while number < self._written:
            some = self._read(_SELECT_SOME, number, READ_AT_ONCE)
            yield from some
            number += len(some)
        yield from self._recent[number - self._written :]

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        if number >= self._written:
            return self._recent[number - self._written]
        return self._read(_SELECT_SOME, number, 1)[0]

    def in_order(self) -> Iterator[T]:
        """Yield the items sorted by their ranks. Append nothing meanwhile."""
        if self._database is None:
            yield from sorted(self._recent, key=self._rank)
            return
        self._write()
        with _errors():
            for (value,) in self._database.execute("SELECT value FROM item ORDER BY rank, number"):
                yield self._decode(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Spool({', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''} {len(self)} in all)"

    def _read(self, query: str, *parameters: int) -> list[T]:
        assert self._database is not None
        with _errors():
            rows = self._database.execute(query, parameters).fetchall()
        return [self._decode(value) for (value,) in rows]

    def _write(self) -> None:
        encode = msgspec.msgpack.Encoder().encode
        numbers = range(self._written, len(self))
        rows = ((number, self._rank(item), encode(item)) for number, item in zip(numbers, self._recent, strict=True))
        with _errors():
            if self._database is None:
                self._database = scratch()
                self._database.execute(_TABLE)
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO item VALUES (?, ?, ?)", rows)
            self._database.execute("COMMIT")
        self._written, self._recent = len(self), []


def runs(items: Iterable[T], length: int) -> Iterator[list[T]]:
    """Yield lists of `length` items, in order, the last one shorter."""
    left = iter(items)
    while some := list(itertools.islice(left, length)):
        yield some


def among(in_order: Iterable[str]) -> Callable[[str], bool]:
    """Return a test whether a value is among these. Both they and what is asked for must be in ascending order."""
    left = iter(in_order)
    at = next(left, None)

    def is_among(value: str) -> bool:
        nonlocal at
        while at is not None and at < value:
            at = next(left, None)
        return at == value

    return is_among


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _errors() -> contextlib.AbstractContextManager[None]:
    return errors_as(StateError, Path("a temporary file"), "A temporary file cannot be used", "Free space in TMPDIR.")
