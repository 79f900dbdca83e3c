"""Trials with chance in them, made by a program of their own: `make soak SEED=123` is the same run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: `make test` repeats its examples.
SEED = int(os.environ.get("NIMBUS_SOAK_SEED", "0"))


def run_trials(program: str | Path, *arguments: object, seconds: float = 590) -> list[dict[str, Any]]:
    """Run one of the programs beside the tests, and return what it tells: a line of JSON for each trial."""
    done = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told
    return told
