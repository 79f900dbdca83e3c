"""Times as people read them. Records and documents have ISO 8601 in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.model.clock import moment_of

if TYPE_CHECKING:
    from datetime import datetime


def local(timestamp: str, precision: str = "seconds") -> str:
    """Return a timestamp in the time zone of this machine, `2026-01-02 04:05:06`; any other text as it is."""
    moment = _here(timestamp)
    return timestamp if moment is None else moment.replace(tzinfo=None).isoformat(" ", precision)


def local_with_zone(timestamp: str) -> str:
    """Return a local time for readers elsewhere: `2026-01-02 04:05:06 UTC+0100`."""
    moment = _here(timestamp)
    return timestamp if moment is None else f"{local(timestamp)} UTC{moment:%z}".removesuffix("+0000")


def duration(ms: int) -> str:
    """Return a time for people: `850 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _here(timestamp: str) -> datetime | None:
    moment = moment_of(timestamp)
    try:
        return None if moment is None else moment.astimezone()
    except (OverflowError, ValueError, OSError):  # in the first or the last year that there is
        return None
