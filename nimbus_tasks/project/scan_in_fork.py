"""A folder looked at by a forked child, on another core, while this process looks at another one.

Where nothing changed, a run is little else than a look at every file of two folders, and Python looks at one file at a
time however many threads there are. The child's answer is the value that `scan` would have returned here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.project.garbage import uncollected
from nimbus_tasks.project.scan import Scan, scan

if TYPE_CHECKING:
    from collections.abc import Callable

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Scan).decode


def scan_beside(folder: str, wanted: Callable[[str], bool]) -> Callable[[], Scan]:
    """Begin to look at `folder`, and return what waits for the scan.

    Only on Linux (elsewhere a fork may break what the system's libraries hold), with a second core, and in a process
    without other threads (a fork would copy their locks, but not them). Otherwise, and where the child fails, the
    folder is looked at when the scan is asked for.
    """

    def here() -> Scan:
        return scan(folder, wanted)

    if sys.platform != "linux" or threading.active_count() > 1 or (os.cpu_count() or 1) < 2:
        return here
    source, sink = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no more processes for this user
        os.close(source)
        os.close(sink)
        return here
    if not child:
        _answer(here, sink)
    os.close(sink)

    def wait() -> Scan:
        with open(source, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        try:
            with uncollected():
                return _decode(answer)
        except msgspec.MsgspecError:
            return here()

    return wait


def _answer(look: Callable[[], Scan], sink: int) -> None:
    """Say what was found, and end at once: nothing of the parent's is to be flushed or cleaned up twice."""
    try:
        with contextlib.suppress(BaseException), open(sink, "wb") as pipe:
            pipe.write(_encode(look()))
    finally:
        os._exit(0)
