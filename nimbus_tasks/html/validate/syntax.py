"""From bytes to a JSON document, or the reasons why they are not one.

msgspec is fast but says little about errors. Where it fails, the standard library reads again: it knows lines and
columns, and accepts what msgspec refuses (NaN, lone surrogates), so that the value can be named.
"""

from __future__ import annotations

import codecs
import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from nimbus_tasks.model.issues import Finding, Where, name

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A page map is four levels deep. Whether a parser can read hundreds depends on its stack, and a page must not be
#: valid here and fail in the next stage.
MAX_DEPTH = 200

#: Python and msgspec refuse longer integers, whose conversion takes quadratic time.
_MAX_DIGITS = 4300

_decode = msgspec.json.Decoder().decode


class UnreadableError(Exception):
    """The bytes are not a JSON document."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(findings)
        self.findings = findings


def read(data: bytes) -> object:
    """Return the document that the bytes hold."""
    try:
        document = _decode(data)
    except RecursionError:
        raise UnreadableError([_TOO_DEEP]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(reasons(data, error)) from None
    if _may_be_deep(data, document) and _is_deep(document):
        raise UnreadableError([_TOO_DEEP])
    return document


def duplicate_members(data: bytes, document: object) -> list[Finding]:
    r"""Return an error for each member that an object has twice: JSON parsers disagree on which one counts.

    The parser kept one of them, so the document, encoded again, is shorter and has fewer quotes (a quote inside a
    string is one quote in both, unless the file writes `\u0022`). This cheap test runs on every page; finding the
    members costs more.
    """
    again = msgspec.json.encode(document)
    if len(again) == len(data) or again.count(b'"') == data.count(b'"'):
        return []
    return [
        Finding((*where, member), f"{name((*where, member))} is written more than once: keep one of them")
        for where, value in _walk(json.loads(data, object_pairs_hook=_object))
        if isinstance(value, _WithDuplicates)
        for member in value.duplicates
    ]


# --- why it cannot be read ----------------------------------------------------------------------------

_TOO_DEEP = Finding((), f"nested deeper than {MAX_DEPTH} levels: a page map needs four, so fix what writes it")


def reasons(data: bytes, error: Exception) -> list[Finding]:
    """Return why these bytes, which msgspec refused with this error, are not a JSON document."""
    if not data.strip(b"\0 \t\r\n"):
        what = "holds nothing but zeros" if b"\0" in data else "is empty"
        return [Finding((), f"the file {what}: write the map again, or delete it")]
    if encoding := _foreign_encoding(data):
        return [Finding((), f"the file {encoding}: save it as UTF-8 without a byte order mark")]
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        line, column = _position(data[: bad.start].decode())
        message = f"not valid UTF-8 (line {line}, column {column}): save the file as UTF-8"
        return [Finding((), message, line=line, column=column)]
    try:
        document = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as bad:
        message = f"not valid JSON (line {bad.lineno}, column {bad.colno})"
        return [Finding((), message, line=bad.lineno, column=bad.colno)]
    except RecursionError:
        return [_TOO_DEEP]
    return list(_not_encodable(document)) or [Finding((), f"not valid JSON: {error}")]


def _foreign_encoding(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return "starts with a byte order mark"
    # The first characters of JSON are ASCII: a NUL among their bytes is half of a wider character.
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:2]:
        return "is UTF-16 or UTF-32"
    return ""


def _position(before: str) -> tuple[int, int]:
    """Return the line and column after a text, from 1 and in characters."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _integer(digits: str) -> float:
    return int(digits) if len(digits.lstrip("-")) <= _MAX_DIGITS else math.inf


def _not_encodable(document: object) -> Iterator[Finding]:
    """Yield the values that the standard library reads although JSON or UTF-8 cannot hold them."""
    for where, value in _walk(document):
        if isinstance(value, float) and not math.isfinite(value):
            yield Finding(where, f"{name(where)} is not a number that JSON can hold: leave it out")
        if isinstance(value, str) and not _encodable(value):
            yield Finding(where, f"{name(where)} holds {_SURROGATE}")
        if isinstance(value, dict):
            names = [(*where, key) for key in value if not _encodable(key)]
            yield from (Finding(member, f"the name of {name(member)} holds {_SURROGATE}") for member in names)


_SURROGATE = "a lone surrogate, half of a character: write the whole character as UTF-8"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- walking ------------------------------------------------------------------------------------------


def _walk(document: object) -> Iterator[tuple[Where, Any]]:
    """Yield every value in document order with its path. A list in place of recursion: depth takes no stack."""
    pending: list[tuple[Where, Any]] = [((), document)]
    while pending:
        where, value = pending.pop()
        yield where, value
        if isinstance(value, dict):
            pending += [((*where, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            pending += [((*where, i), value[i]) for i in reversed(range(len(value)))]


def _may_be_deep(data: bytes, document: object) -> bool:
    """Return False for nearly every page, cheaply: without its blocks it has too few brackets."""
    arrays = [value for value in document.values() if isinstance(value, list)] if isinstance(document, dict) else []
    blocks = sum(list(map(type, array)).count(dict) for array in arrays)
    return data.count(b"{") + data.count(b"[") - blocks > MAX_DEPTH - 1


def _is_deep(document: object) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if not inner:
            return False
        level = inner
    return True


class _WithDuplicates(dict[str, Any]):
    """An object that has members more than once."""

    duplicates: tuple[str, ...]


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(member for member, _ in members)
    if len(counts) == len(members):
        return dict(members)
    made = _WithDuplicates(members)
    made.duplicates = tuple(member for member, count in counts.items() if count > 1)
    return made
