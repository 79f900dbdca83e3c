"""Uploads of files that meet every fault and are killed at random steps: each file is stored once, and whole.

`make test` makes one trial of each fault, `make soak` 100 (`upload_trials.py`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from edge.seaweed import needs_seaweed
from soak import SEED, run_trials

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = Path(__file__).with_name("upload_trials.py")
KINDS = ["folder", "pinata", pytest.param("s3", marks=needs_seaweed)]
#: What a run meets in any case. The others need many trials.
FEW = ("none", "reset before", "reset after", "disk full")


def check(trials: Iterable[dict[str, Any]], faults: Iterable[str]) -> None:
    assert [trial for trial in trials if trial["wrong"]] == []
    assert {trial["fault"] for trial in trials} == set(faults)
    ended = Counter(trial["first"] for trial in trials)
    assert ended[-9], "nothing was killed"
    assert set(ended) <= {-9, 0, 1}


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_stored_once_whatever_happens(tmp_path: Path, kind: str) -> None:
    check(run_trials(PROGRAM, kind, tmp_path, f"--seed={SEED}", "--trials=1", *FEW), FEW)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_kills_with_each_fault(tmp_path: Path, kind: str) -> None:
    trials = run_trials(PROGRAM, kind, tmp_path, f"--seed={SEED}", "--trials=100", seconds=9000)
    check(trials, {trial["fault"] for trial in trials})
    assert len(trials) == 2100
