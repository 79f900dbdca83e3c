"""Pages as they come in: a header line of JSON, then the bytes of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.extract_files import LARGEST_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: A header is a path and a number; longer lines are something else.
LONGEST_HEADER = 64 * 1024
_CHUNK = 1 << 20


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes before a page: its source path, and how many bytes follow."""

    path: str
    bytes: int


class StreamedPage(Struct, frozen=True):
    """A page that came in. `html` is None where there was too much of it to be a page."""

    path: str
    html: bytes | None


_header = msgspec.json.Decoder(Header)


def read_pages(stream: BinaryIO) -> Iterator[StreamedPage]:
    """Yield the pages of a stream until it ends.

    Raises:
        SourceError: something else came in, or the stream ended within a page.
    """
    number = 0
    while line := stream.readline(LONGEST_HEADER):
        number += 1
        header = _read_header(line, number)
        if header.bytes > LARGEST_PAGE:
            _pass_over(stream, header)
            yield StreamedPage(header.path, None)
            continue
        html = stream.read(header.bytes)
        if len(html) < header.bytes:
            raise _ended(header)
        yield StreamedPage(header.path, html)


def _read_header(line: bytes, number: int) -> Header:
    try:
        header = _header.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SourceError(
            f"Standard input, page {number}: its header cannot be read ({error}).",
            'Each page is a line such as {"path": "dist/about.html", "bytes": 1234}, then its bytes.',
        ) from None
    if header.bytes < 0 or not line.endswith(b"\n"):
        raise SourceError(f"Standard input, page {number}: its header is not a whole line with a number of bytes.")
    return header


def _pass_over(stream: BinaryIO, header: Header) -> None:
    left = header.bytes
    while left:
        read = len(stream.read(min(left, _CHUNK)))
        if not read:
            raise _ended(header)
        left -= read


def _ended(header: Header) -> SourceError:
    return SourceError(f"Standard input ended within {header.path}.", "Pages without an answer were not sent.")
