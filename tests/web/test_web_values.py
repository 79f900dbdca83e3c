"""The page's JavaScript that needs no browser, in Node's own test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_states_of_files_and_the_pace_of_an_upload() -> None:
    done = subprocess.run(
        ["node", "--test", HERE / "items.test.mjs"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
