"""What moves on a terminal: a progress bar, and lines redrawn in place. The only module that imports rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console as RichConsole
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class _Drawn:
    """Something drawn on a terminal; lines printed meanwhile appear above it."""

    def __init__(self, rich: RichConsole, drawing: Live | Progress) -> None:
        self._rich, self._drawing = rich, drawing

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawing.stop()

    def print(self, text: str, style: str) -> None:
        self._rich.print(text, style=style or None, markup=False, soft_wrap=True)


class Bar(_Drawn):
    def __init__(self, stream: TextIO, label: str, total: int, *, colour: bool) -> None:
        rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=rich, transient=True)
        self._task = self._progress.add_task(label, total=total)
        super().__init__(rich, self._progress)

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)


class RedrawnLines(_Drawn):
    """Lines redrawn in place. `safe` makes a text safe to show."""

    def __init__(self, stream: TextIO, safe: Callable[[str], str], *, colour: bool) -> None:
        rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        self._safe = safe
        self._live = Live(console=rich, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        super().__init__(rich, self._live)

    def show(self, lines: Sequence[tuple[str, str]]) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, (line, style) in enumerate(lines):
            text.append(("\n" if number else "") + self._safe(line), style or None)
        self._live.update(text, refresh=True)
