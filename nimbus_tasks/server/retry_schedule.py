"""When a failed step is tried again, and when it no longer is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

ErrorClass = Literal["rate_limit", "network", "server", "invalid", "auth", "quota", "unknown"]

#: Seconds before each further try: 1 minute, 5 minutes, 15 minutes, 1 hour, 6 hours.
DELAYS = (60.0, 300.0, 900.0, 3600.0, 21600.0)
#: Tries of a step that a user asked for, the first one included.
URGENT_TRIES = 10
#: How much longer the delay is where others are likely to meet the same error.
FACTORS: dict[str, float] = {"rate_limit": 5, "network": 2}
#: Another try changes nothing until someone has changed the file or the configuration.
PERMANENT = frozenset({"invalid", "auth"})
EXHAUSTED = "Max retries exceeded"


class Failure(Struct, frozen=True):
    """Why one try failed. wait: seconds that the other side asks for; None where it does not say."""

    error_class: ErrorClass
    message: str
    permanent: bool = False
    wait: float | None = None


class Verdict(Struct, frozen=True):
    """What follows from a failure. delay: seconds until the next try; None: a dead letter."""

    message: str
    delay: float | None


def judge(failure: Failure, tries: int, *, urgent: bool, delays: Sequence[float] = DELAYS) -> Verdict:
    """Return what follows from a failure. tries: all that have failed so far, this one included."""
    if failure.permanent or failure.error_class in PERMANENT:
        return Verdict(failure.message, None)
    most = URGENT_TRIES if urgent else len(delays) + 1
    if tries >= most or not delays:
        return Verdict(f"{EXHAUSTED}: {failure.message}", None)
    delay = delays[min(tries, len(delays)) - 1] * FACTORS.get(failure.error_class, 1)
    return Verdict(failure.message, max(delay, failure.wait or 0))
