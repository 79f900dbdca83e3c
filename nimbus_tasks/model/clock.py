"""The current time as records write it."""

from __future__ import annotations

from datetime import UTC, datetime

from nimbus_tasks.model import records


def now() -> str:
    """Return the current time, ISO 8601 in UTC with a `Z`."""
    return records.timestamp(datetime.now(UTC))
