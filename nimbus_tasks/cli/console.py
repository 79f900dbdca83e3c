"""Everything a person reads goes through here: lines, progress, colours, and a plain form for logs.

On a terminal: symbols, colour, a live bar. Elsewhere: plain lines, and progress at each 25 %.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn, Protocol, TextIO

from nimbus_tasks.cli.next_steps import as_typed
from nimbus_tasks.project.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nimbus_tasks.cli.live import Bar, RedrawnLines
    from nimbus_tasks.model.errors import NimbusError
    from nimbus_tasks.model.progress import Progress

#: With up to this many pages, each page gets its line without `--verbose`.
FEW = 20

#: Symbol -> word, for terminals without UTF-8.
SYMBOLS = {
    "📦": "*",
    "📁": "*",
    "⬆️ ": "*",
    "📄": "*",
    "🔎": "*",
    "🔧": "*",
    "📊": "*",
    "👀": "*",
    "📈": "*",
    "🔄": "*",
    "↻": "*",
    "⚡": "*",
    "🎉": "*",
    "⏳": "...",
    "✅": "ok",
    "❌": "FAILED",
    "⚠️ ": "warning:",
    "🗑️ ": "-",
    "💡": "hint:",
    "·": "-",
    "→": "->",
    "…": "...",
    "—": "-",
}

_ANSI = {"red": "31", "yellow": "33", "green": "32", "dim": "2", "bold": "1"}
#: 128 + SIGPIPE, as a shell reports a program whose reader went away.
_PIPE_CLOSED = 141


class Region(Protocol):
    """An area of the terminal. `show` replaces its lines, each a text and a style."""

    def show(self, lines: Sequence[tuple[str, str]]) -> None: ...


class OutputClosedError(SystemExit):
    """The program that read our output has ended (`doit ... | head`). Ends this process quietly, with status 141."""


def write(stream: TextIO, text: str) -> None:
    """Write and flush.

    Raises:
        OutputClosedError: the reader has gone.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        end_without_reader(stream)


def end_without_reader(stream: TextIO) -> NoReturn:
    discard(stream)
    raise OutputClosedError(_PIPE_CLOSED) from None


def discard(stream: TextIO) -> None:
    """Send what is still buffered, and all that follows, to nowhere: flushing it at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Console:
    """Writes to standard output, or to standard error where a document goes to standard output.

    verbose: print a line for each page and each warning, however many. quiet: print only what changes the exit status.
    document: standard output is reserved for one JSON document.
    odd_records: how many warnings about records of the target were shown.
    """

    def __init__(self, to: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._to = to
        self.verbose = self.quiet = self.document = False
        self.odd_records = 0
        self._live: Bar | RedrawnLines | None = None
        # GitHub's runner reads the log of a job and obeys lines that look like its commands.
        self._read_by_runner = self._environment.get("GITHUB_ACTIONS") == "true"
        self._detect()

    def _detect(self) -> None:
        dumb = self._environment.get("TERM") == "dumb"
        self._redraws = self._stream.isatty() and not dumb
        self.colour = _wants_colour(self._environment, redraws=self._redraws)
        self.symbols = not dumb and self._encoding.lower().replace("-", "") == "utf8"

    @property
    def live(self) -> bool:
        """Whether lines may be redrawn in place, and questions asked."""
        return self._redraws and not self.quiet

    @property
    def _stream(self) -> TextIO:
        # Looked up at each use: doit replaces sys.stdout while a task runs.
        return self._to or sys.stdout

    @property
    def _encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def obey(self, *, json: bool, quiet: bool, verbose: bool) -> None:
        """Apply a command's output options to the whole process."""
        self.document |= json
        if json and self._to is None:
            self._to = sys.stderr
            self._detect()
        self.quiet |= quiet
        self.verbose |= verbose

    def line(self, text: str = "", style: str = "", *, matters: bool = False) -> None:
        """Print one line. With --quiet, print it only if it `matters`: something is wrong enough to fail.

        Characters that would move the cursor are escaped: text from files may hold anything.
        """
        if self.quiet and not matters:
            return
        text = self._safe(text)
        if self._live is not None:
            self._live.print(text, style)
        elif self.colour and style:
            write(self._stream, f"\x1b[{_ANSI[style]}m{text}\x1b[0m\n")
        else:
            write(self._stream, f"{text}\n")

    def warn(self, text: str, *, matters: bool = False) -> None:
        """Print a warning. With --quiet, print it only if it `matters`: the run waits, or will not end with 0."""
        self.line(f"⚠️  {text}", "yellow", matters=matters)

    def warn_of_record(self, text: str) -> None:
        """Warn of a record of the target that another program wrote and that cannot be read."""
        self.odd_records += 1
        self.warn(text, matters=True)

    def fail(self, text: str) -> None:
        self.line(f"❌ {text}", "red", matters=True)

    def instruct(self, command: str) -> None:
        """Print a command for a CI runner to standard error, unchanged."""
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        write(sys.stderr, hide(command).encode(encoding, "backslashreplace").decode(encoding) + "\n")

    @contextlib.contextmanager
    def progress(self, label: str, total: int, few: int = FEW) -> Iterator[Progress]:
        """Show progress: a live bar on a terminal, elsewhere a line at each quarter of more than `few` steps."""
        if not self.live:
            yield _Quarters(self, label, total, few)
            return
        # rich takes 50 ms to import: only where there is a terminal and something to show.
        from nimbus_tasks.cli.live import Bar

        with Bar(self._stream, label, total, colour=self.colour) as bar, self._redrawing(bar):
            yield bar

    @contextlib.contextmanager
    def region(self) -> Iterator[Region]:
        """Redraw lines in place until the block ends; the last ones stay. Requires `live`."""
        from nimbus_tasks.cli.live import RedrawnLines

        with RedrawnLines(self._stream, self._safe, colour=self.colour) as region, self._redrawing(region):
            yield region

    @contextlib.contextmanager
    def _redrawing(self, live: Bar | RedrawnLines) -> Iterator[None]:
        """Print lines above what is drawn live until the block ends."""
        self._live = live
        try:
            yield
        finally:
            self._live = None

    def _safe(self, text: str) -> str:
        """Return a text that this terminal or log can show, that controls neither, and that holds no credential."""
        text = hide(as_typed(text))
        if not text.isprintable():
            text = "".join(c if c.isprintable() or c in "\ufe0f" else ascii(c)[1:-1] for c in text)
        if self._read_by_runner:
            # The runner obeys lines that begin with `::` (leading spaces do not count) or that hold `##[`.
            text = text.replace("##[", "## [")
            text = text.replace("::", ": :", 1) if text.lstrip().startswith("::") else text
        if self.symbols:
            return text
        for symbol, word in SYMBOLS.items():
            text = text.replace(symbol, word)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)


def exit_with(error: NimbusError) -> NoReturn:
    """Print an error to standard error and end the process. Raised, doit would end it with status 3."""
    Console(sys.stderr).fail(str(error))
    sys.exit(error.exit_status)


class _Quarters:
    """Prints a line at 25, 50 and 75 %; the stage itself reports the end. Prints nothing for a short job."""

    def __init__(self, console: Console, label: str, total: int, few: int) -> None:
        self._console, self._label, self._total, self._few = console, label, total, few
        self._done = 0

    def advance(self, steps: int = 1) -> None:
        before, self._done = self._done * 4 // max(self._total, 1), self._done + steps
        quarter = self._done * 4 // max(self._total, 1)
        if quarter > before and quarter < 4 and self._total > self._few:
            self._console.line(f"   {self._label}: {quarter * 25} % ({self._done} of {self._total})")


def _wants_colour(environment: Mapping[str, str], *, redraws: bool) -> bool:
    """Follow no-color.org, force-color.org and CLICOLOR; else colour where lines can be redrawn.

    NO_COLOR wins. FORCE_COLOR and CLICOLOR_FORCE colour logs too; "0" means no, as in Node.
    """
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if value := environment.get(name):
            return value != "0"
    return redraws and environment.get("CLICOLOR") != "0"
