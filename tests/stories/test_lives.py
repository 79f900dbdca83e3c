"""Whatever ends a run, fills the disk or sets the clock: nothing is lost, nothing doubled, nothing left in the site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from edge.workerd import needs_workerd
from soak import SEED, run_trials

PROGRAM = Path(__file__).parent / "lives.py"
PLACES = ["sqlite", "cloudflare", pytest.param("gateway", marks=needs_workerd)]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk to fill")


def live(work: Path, place: str, harm: str, lives: int, ends: int) -> list[dict[str, Any]]:
    options = [str(work), place, f"--harms={harm}", f"--lives={lives}", f"--seed={SEED}", f"--ends={ends}"]
    told = run_trials(PROGRAM, *options, seconds=3500)
    wrong = [f"life {each['seed']}: {what}" for each in told for what in each["wrong"]]
    assert not wrong, "\n".join([f"python {PROGRAM} {' '.join(options)}", *wrong])
    assert len(told) == lives
    return told


def count_ends(told: list[dict[str, Any]]) -> int:
    return sum(sum(each["ends"].values()) for each in told)


def test_each_command_killed_and_resumed_leaves_everything_in_agreement(tmp_path: Path) -> None:
    assert count_ends(live(tmp_path, "sqlite", "kill", 1, 2)) >= 3  # of 18: the others ended before


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_hundreds_of_kills_of_each_command(tmp_path: Path, place: str) -> None:
    assert count_ends(live(tmp_path, place, "kill", 9, 7)) > 300


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_kills_while_the_clock_is_set(tmp_path: Path, place: str) -> None:
    assert count_ends(live(tmp_path, place, "clock", 4, 4)) > 60


@needs_root
@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_each_command_on_a_full_disk(tmp_path: Path, place: str) -> None:
    assert sum(each["ran"] for each in live(tmp_path, place, "full", 4, 4)) > 100
