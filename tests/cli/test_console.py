"""What a person sees, on whatever they look at."""

from __future__ import annotations

import io
import sys

import pytest

from nimbus_tasks.cli.console import FEW, SYMBOLS, Console


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


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR": "0"}, True, False),
        ({"CLICOLOR": "1"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colour_is_as_the_environment_asks_for_it(environment: dict[str, str], terminal: bool, coloured: bool) -> None:
    screen = Screen(terminal=terminal)
    console(screen, **environment).fail("broken")
    assert ("\x1b" in screen.shown) == coloured


def test_a_log_that_is_coloured_has_no_live_bar() -> None:
    assert not console(Screen(), FORCE_COLOR="1").live


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::set-output name=x::y", ": :set-output name=x::y"),
        ("   ::error::from a page", "   : :error::from a page"),
        ("\u2003::add-mask::x", "\\u2003::add-mask::x"),
        ("a page says ##[error]x", "a page says ## [error]x"),
        ("std::vector stays", "std::vector stays"),
    ],
)
def test_words_from_pages_are_no_commands_to_githubs_runner(line: str, shown: str) -> None:
    screen = Screen()
    console(screen, GITHUB_ACTIONS="true").line(line)
    assert screen.shown == f"{shown}\n"
    elsewhere = Screen()
    console(elsewhere).line("::a::b")
    assert elsewhere.shown == "::a::b\n"


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
    shown.obey(json=True, quiet=False, verbose=False)
    shown.fail("told")
    assert (shown.live, shown.colour) == (False, False)
    assert (out.shown, err.shown) == ("", "❌ told\n")


def test_of_a_quiet_command_only_what_is_wrong_is_seen() -> None:
    screen = Screen(terminal=True)
    shown = console(screen, NO_COLOR="1")
    shown.obey(json=False, quiet=True, verbose=False)
    shown.line("all is well", "green")
    with shown.progress("Sending", 100) as progress:
        progress.advance(50)
    shown.warn("careful")
    shown.warn("waiting", matters=True)
    shown.warn_of_record("cannot be read")
    shown.fail("broken")
    shown.line("a key that is shown once", matters=True)
    assert not shown.live
    assert screen.shown == "⚠️  waiting\n⚠️  cannot be read\n❌ broken\na key that is shown once\n"


def test_a_log_has_no_lines_about_the_progress_of_a_short_job() -> None:
    screen = Screen()
    for total in (FEW + 1, 1000):
        with console(screen).progress("Sending", total, few=1000) as progress:
            progress.advance(total // 2)
    assert not screen.shown


def test_what_one_command_was_asked_for_holds_for_all_of_the_process() -> None:
    shown = console(Screen())
    shown.obey(json=False, quiet=True, verbose=True)
    shown.obey(json=False, quiet=False, verbose=False)
    assert (shown.quiet, shown.verbose, shown.document) == (True, True, False)


def test_a_stream_that_was_chosen_is_not_left_for_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    err, chosen = Screen(), Screen()
    monkeypatch.setattr(sys, "stderr", err)
    shown = console(chosen)
    shown.obey(json=True, quiet=False, verbose=False)
    shown.line("told")
    assert (err.shown, chosen.shown) == ("", "told\n")


def test_instructions_for_a_machine_go_as_they_are_to_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, err = Screen(), Screen("ascii")
    monkeypatch.setattr(sys, "stderr", err)
    shown = console(screen, GITHUB_ACTIONS="true")
    shown.obey(json=False, quiet=True, verbose=False)
    shown.instruct("::error file=größe.html::x")
    assert (screen.shown, err.shown) == ("", "::error file=gr\\xf6\\xdfe.html::x\n")


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
