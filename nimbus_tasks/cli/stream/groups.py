"""Pages one by one -> groups that are published together."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from nimbus_tasks.cli.stream.frames import StreamedPage, read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: A group is so many pages or so many bytes of HTML at most: who sends them keeps each until it is answered.
MOST_PAGES = 512
MOST_BYTES = 16 * 1024 * 1024
#: ... or what has come when nothing more did for so many seconds: who sends may wait for an answer to go on.
REST = 0.5
#: Pages that are read ahead while a group is published.
AHEAD = 32


def groups(stream: BinaryIO) -> Iterator[list[StreamedPage]]:
    """Yield the pages of a stream in groups.

    Raises:
        SourceError: the stream is not one of pages; the group that was collected then is dropped.
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
    """Read to the end, or to what is wrong; whoever takes from the queue raises that."""
    try:
        for page in read_pages(stream):
            arrived.put(page)
    except Exception as error:
        arrived.put(error)
    else:
        arrived.put(None)
