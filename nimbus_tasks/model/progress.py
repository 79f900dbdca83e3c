"""The progress bar, as stages see it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Counts finished pages or requests."""

    def advance(self, steps: int = 1) -> None: ...
