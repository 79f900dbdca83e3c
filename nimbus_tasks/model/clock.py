"""Times in the form that records use."""

from __future__ import annotations

from datetime import UTC, datetime

from nimbus_tasks.model import records


def now() -> str:
    """Return the current time, ISO 8601 in UTC with a `Z`."""
    return records.timestamp(datetime.now(UTC))


def seconds_of(time: str) -> float:
    """Return a time of the contract in epoch seconds; 0 for anything else, so that no page waits for it."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo else 0.0
