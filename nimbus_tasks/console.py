"""Everything a person sees: lines, progress, colours, and a plain fallback. Nothing else prints.

On a terminal that can show it: symbols, colour, a live bar. Elsewhere plain lines, and progress at each 25 %.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Up to so many pages, each gets its line without being asked for.
FEW = 20

#: symbol -> plain word, for terminals without UTF-8 or colour
SYMBOLS = {
    "📦": "*",
    "📁": "*",
    "⬆️ ": "*",
    "📄": "*",
    "🔎": "*",
    "📊": "*",
    "👀": "*",
    "⏳": "...",
    "✅": "ok",
    "❌": "FAILED",
    "⚠️ ": "warning:",
    "🗑️ ": "-",
    "·": "-",
    "→": "->",
    "…": "...",
    "—": "-",
}


class Progress(Protocol):
    """Is told how much of something is done."""

    def advance(self, steps: int = 1) -> None: ...


class Region(Protocol):
    """Shows lines, each a text and a style, in place of those that it showed before."""

    def show(self, lines: Sequence[tuple[str, str]]) -> None: ...


class Console:
    """Where a person reads. `to` is standard output, or standard error where a document goes to the former."""

    def __init__(self, to: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._to = to
        dumb = environment.get("TERM") == "dumb"
        self.live = self._stream.isatty() and not dumb
        self.colour = self.live and not environment.get("NO_COLOR")
        self.symbols = not dumb and _is_unicode(self._stream)
        self.verbose = False
        self._bar: _Bar | _Region | None = None

    @property
    def _stream(self) -> TextIO:
        # Looked up at each use: doit exchanges sys.stdout while a task runs.
        return self._to or sys.stdout

    def divert(self) -> None:
        """From now on speak to standard error: standard output is for one JSON document."""
        self._to = sys.stderr
        self.live = self.live and sys.stderr.isatty()
        self.colour = self.colour and self.live

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line. Words from files may hold anything: what would move the cursor is escaped."""
        text = _printable(text)
        if not self.symbols:
            text = _plain(text, self._stream)
        if self._bar is not None:
            self._bar.print(text, style)
        elif self.colour and style:
            print(f"\x1b[{_ANSI[style]}m{text}\x1b[0m", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        self.line(f"⚠️  {text}", "yellow")

    def fail(self, text: str) -> None:
        self.line(f"❌ {text}", "red")

    @contextlib.contextmanager
    def progress(self, label: str, total: int) -> Iterator[Progress]:
        """Show how far something is: a live bar on a terminal, elsewhere a line at each quarter."""
        if not self.live:
            yield _Quarters(self, label, total)
            return
        with _Bar(self._stream, label, total, colour=self.colour) as bar:
            self._bar = bar
            try:
                yield bar
            finally:
                self._bar = None

    @contextlib.contextmanager
    def region(self) -> Iterator[Region]:
        """Show lines that are redrawn in place until the block ends; the last ones stay. Only where `live` says so."""
        with _Region(self._stream, colour=self.colour, symbols=self.symbols) as region:
            self._bar = region
            try:
                yield region
            finally:
                self._bar = None


class _Quarters:
    """A line at 25, 50 and 75 %; the stage itself says when it is done. Nothing where there is little to do."""

    def __init__(self, console: Console, label: str, total: int) -> None:
        self._console, self._label, self._total = console, label, total
        self._done = 0

    def advance(self, steps: int = 1) -> None:
        before, self._done = self._done * 4 // max(self._total, 1), self._done + steps
        quarter = self._done * 4 // max(self._total, 1)
        if quarter > before and quarter < 4 and self._total > FEW:
            self._console.line(f"   {self._label}: {quarter * 25} % ({self._done} of {self._total})")


class _Bar:
    """A live bar; lines printed meanwhile appear above it."""

    def __init__(self, stream: TextIO, label: str, total: int, *, colour: bool) -> None:
        # rich takes 50 ms to import: only where there is a terminal and something to show.
        from rich.console import Console as RichConsole  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._rich,
            transient=True,
        )
        self._task = self._progress.add_task(label, total=total)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def print(self, text: str, style: str) -> None:
        self._rich.print(text, style=style or None, markup=False, soft_wrap=True)


class _Region:
    """Lines that are redrawn in place; lines printed meanwhile appear above them."""

    def __init__(self, stream: TextIO, *, colour: bool, symbols: bool) -> None:
        from rich.console import Console as RichConsole  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._stream, self._symbols = stream, symbols
        self._rich = RichConsole(file=stream, no_color=not colour, highlight=False)
        self._live = Live(console=self._rich, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> _Region:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, lines: Sequence[tuple[str, str]]) -> None:
        from rich.text import Text  # noqa: PLC0415

        text = Text(no_wrap=True, overflow="ellipsis")
        for number, (line, style) in enumerate(lines):
            said = _printable(line) if self._symbols else _plain(_printable(line), self._stream)
            text.append(("\n" if number else "") + said, style or None)
        self._live.update(text, refresh=True)

    def print(self, text: str, style: str) -> None:
        self._rich.print(text, style=style or None, markup=False, soft_wrap=True)


_ANSI = {"red": "31", "yellow": "33", "green": "32", "dim": "2", "bold": "1"}


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def _plain(text: str, stream: TextIO) -> str:
    for symbol, word in SYMBOLS.items():
        text = text.replace(symbol, word)
    return text.encode(getattr(stream, "encoding", None) or "ascii", "backslashreplace").decode(
        getattr(stream, "encoding", None) or "ascii"
    )


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\ufe0f" else ascii(c)[1:-1] for c in text)
