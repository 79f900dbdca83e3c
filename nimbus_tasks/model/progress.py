"""What a stage reports its progress to."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def advance(self, steps: int = 1) -> None: ...
