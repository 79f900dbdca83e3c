"""The load test of `make load`, with few and small files: every file is searchable in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_web_flows import CHROMIUM

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here: apt-get install chromium")
@pytest.mark.parametrize(
    ("only", "ways"),
    [("happy", ["page", "client"]), ("killed page", ["page"])],
    ids=["nothing fails", "the service is killed"],
)
def test_every_file_of_a_load_is_searchable(only: str, ways: list[str], tmp_path: Path) -> None:
    out = tmp_path / "load.json"
    arguments = ["--files=12", "--megabytes", "0.05", "0.1", "--outage=1", f"--only={only}", f"--json={out}"]
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    environment = os.environ | {"CHROMIUM": str(CHROMIUM)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text())["results"]
    assert [each["by"] for each in results] == ways
    assert [(each["stored"], each["searchable"], each["failures"]) for each in results] == [(12, 12, {})] * len(ways)
    assert done.stdout.count("100.0%") == len(ways)
