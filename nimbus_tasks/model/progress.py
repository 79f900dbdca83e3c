"""The progress bar, as stages see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Counts finished pages or requests."""

    def advance(self, steps: int = 1) -> None: ...


#: Opens a progress display for this many steps.
ShowProgress = Callable[[int], contextlib.AbstractContextManager[Progress]]


class _Silent:
    def advance(self, steps: int = 1) -> None:
        pass


def silently(_: int) -> contextlib.AbstractContextManager[Progress]:
    """Show no progress."""
    return contextlib.nullcontext(_Silent())
