"""What a person sees, on whatever they look at."""

from __future__ import annotations

import io
import sys

import pytest

from nimbus_tasks.console import FEW, SYMBOLS, Console


class Screen(io.TextIOWrapper):
    """A stream with an encoding, that may say it is a terminal."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def console(screen: Screen, **environment: str) -> Console:
    return Console(screen, environment)


def test_a_log_gets_words_and_symbols_without_colour() -> None:
    screen = Screen()
    shown = console(screen)
    shown.line("📦 Using batch", "red")
    shown.warn("careful")
    shown.fail("broken")
    assert screen.shown == "📦 Using batch\n⚠️  careful\n❌ broken\n"


def test_a_terminal_gets_colour() -> None:
    screen = Screen(terminal=True)
    shown = console(screen)
    shown.fail("broken")
    shown.line("plain")
    assert screen.shown == "\x1b[31m❌ broken\x1b[0m\nplain\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_declined(environment: dict[str, str]) -> None:
    screen = Screen(terminal=True)
    console(screen, **environment).fail("broken")
    assert "\x1b" not in screen.shown


def test_an_empty_no_color_declines_nothing() -> None:
    assert console(Screen(terminal=True), NO_COLOR="").colour


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_each_symbol_has_a_plain_word(encoding: str, symbol: str) -> None:
    screen = Screen(encoding)
    console(screen).line(f"{symbol} text")
    assert screen.shown == f"{SYMBOLS[symbol]} text\n"


def test_what_an_encoding_does_not_have_is_escaped() -> None:
    screen = Screen("ascii")
    console(screen).line("größe 修理")
    assert screen.shown == "gr\\xf6\\xdfe \\u4fee\\u7406\n".replace("\\xdf", "\\xdf")


def test_words_from_files_cannot_move_the_cursor() -> None:
    screen = Screen()
    console(screen).line("a\x1b[2Jb\rc\nd\x07e\u202ef\ud800g")
    assert screen.shown == "a\\x1b[2Jb\\rc\\nd\\x07e\\u202ef\\ud800g\n"


def test_standard_output_is_looked_up_when_something_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(environment={})
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    shown.line("later")
    assert screen.shown == "later\n"


def test_diverted_it_speaks_to_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Screen(terminal=True), Screen()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    shown = Console(environment={})
    assert (shown.live, shown.colour) == (True, True)
    shown.divert()
    shown.fail("told")
    assert (shown.live, shown.colour) == (False, False)
    assert (out.shown, err.shown) == ("", "❌ told\n")


# --- progress -----------------------------------------------------------------------------------------


def steps(total: int, *advances: int) -> list[str]:
    screen = Screen()
    with console(screen).progress("Sending", total) as progress:
        for advance in advances:
            progress.advance(advance)
    return screen.shown.splitlines()


def test_progress_is_told_at_each_quarter() -> None:
    assert steps(100, *[1] * 100) == [
        "   Sending: 25 % (25 of 100)",
        "   Sending: 50 % (50 of 100)",
        "   Sending: 75 % (75 of 100)",
    ]


def test_a_leap_over_quarters_is_told_once() -> None:
    assert steps(100, 60, 40) == ["   Sending: 50 % (60 of 100)"]


@pytest.mark.parametrize("total", [0, 1, FEW])
def test_of_few_pages_no_progress_is_told(total: int) -> None:
    assert steps(total, *[1] * total) == []


def test_a_terminal_gets_a_bar_and_lines_above_it() -> None:
    screen = Screen(terminal=True)
    shown = console(screen, NO_COLOR="1")
    with shown.progress("Sending", 2) as progress:
        progress.advance()
        shown.line("[bold]not markup[/bold]")
        progress.advance()
    shown.line("after")
    assert "Sending" in screen.shown
    assert "[bold]not markup[/bold]" in screen.shown
    assert screen.shown.endswith("after\n")
