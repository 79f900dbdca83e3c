"""Times in the form that records use."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the current time, ISO 8601 in UTC with a `Z`."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as `2026-11-21T03:15:35.120Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def moment_of(time: str) -> datetime | None:
    """Return a time of the contract; None for anything else, such as a time without a zone."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def seconds_of(time: str) -> float:
    """Return a time of the contract in epoch seconds; 0 for anything else, so that no page waits for it."""
    moment = moment_of(time)
    return 0.0 if moment is None else moment.timestamp()


def milliseconds_between(began: str, ended: str) -> int | None:
    """Return the time between two times of the contract; None if one is missing or they are out of order."""
    start, end = moment_of(began), moment_of(ended)
    if start is None or end is None or end < start:
        return None
    return round((end - start).total_seconds() * 1000)
