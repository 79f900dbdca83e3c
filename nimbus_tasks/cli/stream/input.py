"""Pages from standard input: a header line of JSON, then the bytes of the page. They come out in groups."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.pipeline.extract_file import LARGEST_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: A header is a path and a number; a longer line is something else.
LONGEST_HEADER = 64 * 1024
_CHUNK = 1 << 20
#: Maximum pages and bytes of HTML of a group: the sender keeps each page until it is answered.
MOST_PAGES = 512
MOST_BYTES = 16 * 1024 * 1024
#: A group also ends after this many seconds without a page: the sender may wait for an answer.
REST = 0.5
#: Pages that are read ahead while a group is published.
AHEAD = 32


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The line before a page: its source path, and how many bytes follow."""

    path: str
    bytes: int


class StreamedPage(Struct, frozen=True):
    """A page that came in. `html` is None where it is too large for a page."""

    path: str
    html: bytes | None


_header = msgspec.json.Decoder(Header)


def groups(stream: BinaryIO) -> Iterator[list[StreamedPage]]:
    """Yield the pages of a stream in groups.

    Raises:
        SourceError: the stream is not one of pages; the group collected so far is dropped.
    """
    arrived: queue.Queue[StreamedPage | Exception | None] = queue.Queue(AHEAD)
    threading.Thread(target=_read, args=(stream, arrived), daemon=True).start()
    group: list[StreamedPage] = []
    size = 0
    while True:
        try:
            page = arrived.get(timeout=REST if group else None)
        except queue.Empty:
            page = None
            ended = False
        else:
            ended = page is None
        if isinstance(page, Exception):
            raise page
        if page is not None:
            group.append(page)
            size += len(page.html or b"")
        if group and (page is None or len(group) >= MOST_PAGES or size >= MOST_BYTES):
            yield group
            group, size = [], 0
        if ended:
            return


def _read(stream: BinaryIO, arrived: queue.Queue[StreamedPage | Exception | None]) -> None:
    """Put every page into the queue, then None; or the error that ended the stream, for the consumer to raise."""
    try:
        for page in read_pages(stream):
            arrived.put(page)
    except Exception as error:
        arrived.put(error)
    else:
        arrived.put(None)


def read_pages(stream: BinaryIO) -> Iterator[StreamedPage]:
    """Yield the pages of a stream until it ends.

    Raises:
        SourceError: the input is something else, or the stream ended within a page.
    """
    number = 0
    while line := stream.readline(LONGEST_HEADER):
        number += 1
        header = _read_header(line, number)
        if header.bytes > LARGEST_PAGE:
            _skip(stream, header)
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


def _skip(stream: BinaryIO, header: Header) -> None:
    left = header.bytes
    while left:
        read = len(stream.read(min(left, _CHUNK)))
        if not read:
            raise _ended(header)
        left -= read


def _ended(header: Header) -> SourceError:
    return SourceError(f"Standard input ended within {header.path}.", "Pages without an answer were not sent.")
