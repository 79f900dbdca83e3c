"""The seed of all that is random in long tests: `make soak SEED=123` is the same run again."""

from __future__ import annotations

import os

#: `make test` repeats its examples.
SEED = int(os.environ.get("NIMBUS_SOAK_SEED", "0"))
