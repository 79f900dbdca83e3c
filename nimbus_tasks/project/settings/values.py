"""What the values of settings may be, and how a setting is described."""

# Without `from __future__ import annotations`: msgspec would evaluate string annotations at every start (2.5 ms).

from typing import Annotated

from msgspec import Meta

#: No store gets faster with more requests at a time.
MOST_SLOTS = 100
#: No process gets faster with more pages at a time.
MOST_WORKERS = 100
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Delay = Annotated[float, Meta(gt=0)]
Dollars = Annotated[float, Meta(ge=0, le=100_000)]
Workers = Annotated[int, Meta(ge=1, le=MOST_WORKERS)]
Slots = Annotated[int, Meta(ge=1, le=MOST_SLOTS)]
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Percent = Annotated[int, Meta(ge=0, le=100)]


def says(description: str) -> Meta:
    """Return the description that editors (`.nimbus/project.schema.json`) and the docs show."""
    return Meta(description=description)
