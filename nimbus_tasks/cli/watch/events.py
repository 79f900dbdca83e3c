"""Changes as the operating system tells them, from a thread that hears them while a cycle is at work.

The only place that knows watchfiles. It hands on paths; what lies there is for others to see.
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

#: watchfiles looks for events so often, in seconds, and hands them on after one or two such steps.
STEP = 0.01
#: How often the thread looks whether it is to end, in seconds.
_TURN = 0.25
#: How often files are looked at where the operating system tells of no changes, in milliseconds.
_POLL_MS = 500


class Heard(NamedTuple):
    """Paths that changed, and when that was heard. None at all: the watch is set up, and hears from now on."""

    paths: frozenset[str]
    at: float


class Events:
    """The changes below some folders, as long as the `with` block lasts."""

    def __init__(self, folders: Sequence[str], wanted: Callable[[str], bool], *, polling: bool = False) -> None:
        self._folders, self._wanted, self._polling = folders, wanted, polling
        self._heard: queue.SimpleQueue[Heard | Exception] = queue.SimpleQueue()
        self._first: Heard | Exception | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="nimbus watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def next(self) -> Heard | None:
        """Return the next changes that were heard, None where there are none yet.

        Raises:
            OSError: a folder cannot be watched: it is not there, or the system watches too many already.
        """
        try:
            heard = self._first or self._heard.get_nowait()
        except queue.Empty:
            return None
        self._first = None
        if isinstance(heard, Exception):
            raise heard if isinstance(heard, OSError) else OSError(str(heard))
        return heard

    def wait(self, seconds: float) -> None:
        """Wait until something was heard, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._first = self._first or self._heard.get(timeout=max(0.0, seconds))

    def _listen(self) -> None:
        step = int(STEP * 1000)
        changes = changes_in(
            *self._folders,
            watch_filter=lambda _, path: self._wanted(path),
            step=step,
            debounce=step,
            rust_timeout=int(_TURN * 1000),
            yield_on_timeout=True,
            stop_event=self._end,
            raise_interrupt=False,
            force_polling=True if self._polling else None,
            poll_delay_ms=_POLL_MS,
        )
        ready = False
        try:
            for changed in changes:
                if changed or not ready:
                    self._heard.put(Heard(frozenset(path for _, path in changed), time.monotonic()))
                ready = True
        except Exception as error:  # whoever waits for changes hears of it
            self._heard.put(error)
