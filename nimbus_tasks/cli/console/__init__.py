"""Everything a person sees: lines, progress, colours, and a plain fallback. Nothing else prints.

On a terminal that can show it: symbols, colour, a live bar. Elsewhere plain lines, and progress at each 25 %.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from nimbus_tasks.cli.console.abilities import can_redraw, has_symbols, wants_colour
from nimbus_tasks.cli.console.characters import SYMBOLS, defused, plain, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nimbus_tasks.cli.console.drawing import Bar, RedrawnLines
    from nimbus_tasks.model.progress import Progress

__all__ = ["FEW", "SYMBOLS", "Console", "Region"]

#: Up to so many pages, each gets its line without being asked for.
FEW = 20

_ANSI = {"red": "31", "yellow": "33", "green": "32", "dim": "2", "bold": "1"}


class Region(Protocol):
    """Shows lines, each a text and a style, in place of those that it showed before."""

    def show(self, lines: Sequence[tuple[str, str]]) -> None: ...


class Console:
    """Where a person reads. `to` is standard output, or standard error where a document goes to the former.

    verbose: a line for each page and each warning, however many. quiet: only what is wrong.
    document: standard output is for one JSON document.
    """

    def __init__(self, to: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._to = to
        self.verbose = self.quiet = self.document = False
        self._bar: Bar | RedrawnLines | None = None
        # The log of a CI job is read by a machine too: GitHub's runner obeys lines that look like its commands.
        self._read_by_runner = self._environment.get("GITHUB_ACTIONS") == "true"
        self._look()

    def _look(self) -> None:
        terminal = self._stream.isatty()
        self._redraws = terminal and can_redraw(self._environment)
        self.colour = wants_colour(self._environment, redraws=self._redraws)
        self.symbols = has_symbols(self._environment, self._encoding)

    @property
    def live(self) -> bool:
        """Whether lines may be redrawn in place, and questions asked."""
        return self._redraws and not self.quiet

    @property
    def _stream(self) -> TextIO:
        # Looked up at each use: doit exchanges sys.stdout while a task runs.
        return self._to or sys.stdout

    @property
    def _encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def obey(self, *, json: bool, quiet: bool, verbose: bool) -> None:
        """Do as the options of a command say. What one command of a process was asked for, holds for all of it.

        json: standard output is for one JSON document, a person reads standard error.
        """
        self.document |= json
        if json and self._to is None:
            self._to = sys.stderr
            self._look()
        self.quiet |= quiet
        self.verbose |= verbose

    def line(self, text: str = "", style: str = "", *, matters: bool = False) -> None:
        """Print one line; with --quiet only one that `matters`: something is wrong, or nothing else tells of it.

        Words from files may hold anything: what would move the cursor is escaped.
        """
        if self.quiet and not matters:
            return
        text = self._shown(text)
        if self._bar is not None:
            self._bar.print(text, style)
        elif self.colour and style:
            print(f"\x1b[{_ANSI[style]}m{text}\x1b[0m", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        self.line(f"⚠️  {text}", "yellow", matters=True)

    def fail(self, text: str) -> None:
        self.line(f"❌ {text}", "red", matters=True)

    def instruct(self, command: str) -> None:
        """Print a line for the machine that reads along (a CI runner), as it is, to standard error."""
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(command.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def progress(self, label: str, total: int) -> Iterator[Progress]:
        """Show how far something is: a live bar on a terminal, elsewhere a line at each quarter."""
        if not self.live:
            yield _Quarters(self, label, total)
            return
        # rich takes 50 ms to import: only where there is a terminal and something to show.
        from nimbus_tasks.cli.console.drawing import Bar

        with Bar(self._stream, label, total, colour=self.colour) as bar:
            self._bar = bar
            try:
                yield bar
            finally:
                self._bar = None

    @contextlib.contextmanager
    def region(self) -> Iterator[Region]:
        """Show lines that are redrawn in place until the block ends; the last ones stay. Only where `live` says so."""
        from nimbus_tasks.cli.console.drawing import RedrawnLines

        with RedrawnLines(self._stream, self._shown, colour=self.colour) as region:
            self._bar = region
            try:
                yield region
            finally:
                self._bar = None

    def _shown(self, text: str) -> str:
        """Return a text as this terminal or log can hold it."""
        text = printable(text)
        if self._read_by_runner:
            text = defused(text)
        return text if self.symbols else plain(text, self._encoding)


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
