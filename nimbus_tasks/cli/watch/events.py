"""Changes as the operating system reports them, collected by a thread while a cycle runs.

The only module that uses watchfiles. It passes on paths, and does not look at the files.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from watchfiles import watch as changes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: watchfiles collects events for one or two steps of this many seconds.
STEP = 0.01
#: Seconds between two checks whether the thread is to end.
_STOP_CHECK = 0.25
#: Milliseconds between two scans where the operating system reports no changes.
_POLL_MS = 500


class Changes(NamedTuple):
    """Paths that changed, and when that was reported. No paths: the watch is set up, changes follow from now on."""

    paths: frozenset[str]
    at: float


class Events:
    """The changes below some folders during the `with` block."""

    def __init__(self, folders: Sequence[str], wanted: Callable[[str], bool], *, polling: bool = False) -> None:
        self._folders, self._wanted, self._polling = folders, wanted, polling
        self._queue: queue.SimpleQueue[Changes | Exception] = queue.SimpleQueue()
        self._first: Changes | Exception | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="nimbus watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def next(self) -> Changes | None:
        """Return the next changes, or None where there are none yet.

        Raises:
            OSError: a folder cannot be watched: it does not exist, or the system watches too many already.
        """
        try:
            changes = self._first or self._queue.get_nowait()
        except queue.Empty:
            return None
        self._first = None
        if isinstance(changes, Exception):
            raise changes if isinstance(changes, OSError) else OSError(str(changes))
        return changes

    def wait(self, seconds: float) -> None:
        """Wait for changes, at most this long."""
        with contextlib.suppress(queue.Empty):
            self._first = self._first or self._queue.get(timeout=max(0.0, seconds))

    def _listen(self) -> None:
        step = int(STEP * 1000)
        reported = changes_in(
            *self._folders,
            watch_filter=lambda _, path: self._wanted(path),
            step=step,
            debounce=step,
            rust_timeout=int(_STOP_CHECK * 1000),
            yield_on_timeout=True,
            stop_event=self._end,
            raise_interrupt=False,
            force_polling=True if self._polling else None,
            poll_delay_ms=_POLL_MS,
        )
        ready = False
        try:
            for changed in reported:
                if changed or not ready:
                    self._queue.put(Changes(frozenset(path for _, path in changed), time.monotonic()))
                ready = True
        except Exception as error:  # raised by `next`
            self._queue.put(error)
