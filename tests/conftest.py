"""Property tests: the same examples on every machine and at every run; `make soak` explores new ones."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeat", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("repeat")
