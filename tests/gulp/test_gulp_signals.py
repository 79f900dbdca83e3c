"""Ctrl-C, SIGTERM, and worse: what Gulp started ends cleanly, and Gulp waits for that."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from gulp_project import SIGNALS, is_running, to_the_end, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gulp_project import GulpSite
    from kit import Running

    Make = Callable[..., GulpSite]

#: A Python that says which process it is, and is the real one.
TELLING = f"""\
#!/bin/sh
echo "PYTHON $$"
exec {sys.executable} "$@"
"""


@pytest.fixture
def watching(with_gulp: Make) -> GulpSite:
    site = with_gulp("", "a")
    site.write("python", TELLING)
    (site / "python").chmod(0o755)
    return site


def python_of(running: Running) -> int:
    return int(running.until("PYTHON ").split()[1])


@pytest.mark.parametrize("number", SIGNALS)
def test_gulp_passes_a_signal_on_and_waits_for_the_clean_end(watching: GulpSite, number: int) -> None:
    with watching.start_gulp("nimbus:watch", NIMBUS_PYTHON="./python") as running:
        python = python_of(running)
        running.until("sent 1")
        running.process.send_signal(number)
        running.until("Watch ended")
        assert running.end() == -number
        assert not is_running(python)


def test_ctrl_c_while_python_starts_is_no_traceback(watching: GulpSite) -> None:
    with watching.start_gulp("nimbus:watch", NIMBUS_PYTHON="./python") as running:
        python = python_of(running)
        running.process.send_signal(signal.SIGINT)
        assert running.end() == -signal.SIGINT
        assert not is_running(python)
        assert not any("Traceback" in line for line in running.lines)


def test_what_gulp_started_ends_when_gulp_is_killed(watching: GulpSite) -> None:
    with watching.start_gulp("nimbus:watch", NIMBUS_PYTHON="./python") as running:
        running.until("sent 1")
        running.process.kill()
        running.until("Watch ended")


def test_so_does_what_was_started_to_ignore_ctrl_c_as_a_background_job_is(watching: GulpSite) -> None:
    watching.write("python", TELLING.replace("exec", "trap '' INT\nexec"))
    with watching.start_gulp("nimbus:watch", NIMBUS_PYTHON="./python") as running:
        running.until("sent 1")
        running.process.kill()
        running.until("Watch ended")


def test_the_signal_that_ended_a_command_is_told(watching: GulpSite) -> None:
    with watching.start_gulp("nimbus:watch", NIMBUS_PYTHON="./python") as running:
        python = python_of(running)
        running.until("sent 1")
        os.kill(python, signal.SIGKILL)
        running.until("gulp-nimbus: nimbus:watch was ended by SIGKILL.")
        assert running.end() == 1


def test_on_a_terminal_colours_stay_and_ctrl_c_is_pressed_once(watching: GulpSite) -> None:
    terminal = watching.gulp_on_a_terminal("nimbus:watch")
    said = until(terminal, "sent 1")
    terminal.write(b"\x03")
    said += to_the_end(terminal)
    assert said.count("Watch ended") == 1
    assert "Traceback" not in said
    assert terminal.signalstatus == signal.SIGINT
    shown = to_the_end(watching.gulp_on_a_terminal("nimbus:batch:status", "--batch=batch_20000101_000000"))
    assert "\x1b[31m❌ There is no batch" in shown
