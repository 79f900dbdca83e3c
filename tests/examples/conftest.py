"""The examples' tests use the kit of the stories: its view of a store, and of how a command ended."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))
