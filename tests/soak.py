"""Trials with chance in them, made by a program of their own: `make soak SEED=123` is the same run again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from warm import run_python

#: `make test` repeats its examples.
SEED = int(os.environ.get("NIMBUS_SOAK_SEED", "0"))


def run_trials(program: str | Path, *arguments: object, seconds: float = 590) -> list[dict[str, Any]]:
    """Run one of the programs beside the tests, and return what it tells: a line of JSON for each trial."""
    done = run_python([str(program), *map(str, arguments)], Path.cwd(), os.environ, seconds)
    assert done.returncode == 0, done.stderr.decode()
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told
    return told
