"""The scripts for shells: whatever a task's texts hold, they stay texts."""

from __future__ import annotations

import subprocess

import pytest
from deadlines import SECONDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import shells

from nimbus_tasks.cli.completion import completion_script, takes_path
from nimbus_tasks.cli.option_errors import Option

#: What means something to one shell or another.
TEXTS = st.text("ab '\"\\:[]$`(){};&|<>!#%*?~\u00e9", max_size=20)


def options(help_text: str) -> list[Option]:
    return [
        Option("limit", int, (), help_text),
        Option("force", bool, (), help_text),
        Option("folder", str, (), help_text),
        Option("shell", str, ("bash", "zsh"), help_text),
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(line=TEXTS, help_text=TEXTS)
def test_a_script_is_one_that_the_shell_can_read(shell: str, line: str, help_text: str) -> None:
    script = completion_script(shell, {"nimbus:upload": (line, options(help_text))})
    assert "@" not in script.replace('"$@"', "").replace('"${(@)words', "").replace("[@]", "")
    if program := shells.find(shell):
        read = subprocess.run(
            [program, "-n"],
            input=script,
            capture_output=True,
            text=True,
            env=shells.libraries(),
            timeout=SECONDS,
            check=False,
        )
        assert (read.returncode, read.stderr) == (0, "")


def test_only_options_for_files_and_folders_complete_paths() -> None:
    assert [option.name for option in options("") if takes_path(option)] == ["folder"]
