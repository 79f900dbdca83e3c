"""Measurements, side by side with peers in one run. The servers, sites and workers are those of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
