"""How a person sees a batch that is watched: redrawn in place on a terminal, elsewhere a line a change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from nimbus_tasks.cli.messages import batches as words
from nimbus_tasks.cli.messages import rate_limited

if TYPE_CHECKING:
    from nimbus_tasks.batches.monitor import Look
    from nimbus_tasks.cli.console import Console, Region
    from nimbus_tasks.model.errors import StoreError


class MonitorViewer:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = contextlib.ExitStack()
        self._region: Region | None = None
        self._said = ""
        self._told_idle = False

    def __enter__(self) -> Self:
        if self._console.live:
            self._region = self._shown.enter_context(self._console.region())
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def show(self, look: Look) -> None:
        if self._region is not None:
            self._region.show(words.region(look, symbols=self._console.symbols))
            return
        said = words.changed(look)
        if said != self._said:
            self._console.line(said)
            self._said, self._told_idle = said, False
        if look.idle and not self._told_idle:
            self._console.line(f"   {words.IDLE}", "yellow")
            self._told_idle = True

    def lost(self, error: StoreError) -> None:
        self._console.warn(f"{error.message} Asking on, until it answers (Ctrl-C ends that).")

    def waiting(self, seconds: float, why: str) -> None:
        rate_limited(self._console, seconds, why)
