"""The current time, in the form that records use."""

from __future__ import annotations

from datetime import UTC, datetime

from nimbus_tasks.model import records


def now() -> str:
    """Return the current time, ISO 8601 in UTC with a `Z`."""
    return records.timestamp(datetime.now(UTC))
