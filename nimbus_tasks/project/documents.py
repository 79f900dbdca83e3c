"""JSON documents whose lists may be longer than memory, encoded some items at a time. Credentials are hidden."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from nimbus_tasks.project.secrets import hide_json

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Items that are encoded at once.
AT_ONCE = 500


def encoded(document: object, *, indent: int = 0) -> Iterator[bytes]:
    """Yield a document as JSON, in parts; indented, or on one line.

    A field of it that is a sequence, but neither a list nor a tuple, is read once.
    """
    values = {} if not isinstance(document, Struct) else msgspec.structs.asdict(document)
    if not any(map(_is_long, values.values())):
        yield _json(document, indent)
        return
    line, colon = (b"\n" + b" " * indent, b": ") if indent else (b"", b":")
    before = b"{"
    for name, value in values.items():
        if value is UNSET:
            continue
        yield before + line + msgspec.json.encode(name) + colon
        before = b","
        if not _is_long(value) or not value:
            yield _json(list(value) if _is_long(value) else value, indent).replace(b"\n", line)
            continue
        opening = b"["
        left = iter(value)
        while some := list(islice(left, AT_ONCE)):
            # Without the brackets of this part of the list.
            yield opening + _json(some, indent)[1:-1].removesuffix(b"\n").replace(b"\n", line)
            opening = b","
        yield (line if indent else b"") + b"]"
    yield (b"\n" if indent else b"") + b"}"


def _is_long(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | list | tuple)


def _json(value: object, indent: int) -> bytes:
    made = hide_json(msgspec.json.encode(value))
    return msgspec.json.format(made, indent=indent) if indent else made
