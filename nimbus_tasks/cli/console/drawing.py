"""What moves on a terminal: a bar, and lines that are redrawn in place. The only file that knows rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console as RichConsole
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Bar:
    """A live bar; lines printed meanwhile appear above it."""

    def __init__(self, stream: TextIO, label: str, total: int, *, colour: bool) -> None:
        self._rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._rich,
            transient=True,
        )
        self._task = self._progress.add_task(label, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def print(self, text: str, style: str) -> None:
        self._rich.print(text, style=style or None, markup=False, soft_wrap=True)


class RedrawnLines:
    """Lines that are redrawn in place; lines printed meanwhile appear above them. `shown`: a text made showable."""

    def __init__(self, stream: TextIO, shown: Callable[[str], str], *, colour: bool) -> None:
        self._shown = shown
        self._rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        self._live = Live(console=self._rich, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, lines: Sequence[tuple[str, str]]) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, (line, style) in enumerate(lines):
            text.append(("\n" if number else "") + self._shown(line), style or None)
        self._live.update(text, refresh=True)

    def print(self, text: str, style: str) -> None:
        self._rich.print(text, style=style or None, markup=False, soft_wrap=True)
