"""A running `doit watch`, for stories."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit import Running, Site

#: Where a watch says how it stands, in these stories.
STATUS = ".nimbus/watch.json"


@contextlib.contextmanager
def watching(site: Site, *options: str, fork: bool = True, **environment: str) -> Iterator[Running]:
    """Start a watch, as a fork or a new interpreter, and wait until its first run is over."""
    start = site.start_fork if fork else site.start
    with start("watch", *options, **environment) as watch:
        watch.until("Watching dist")
        watch.until(" ms")
        yield watch


def cycles(watch: Running) -> list[str]:
    """Return the lines of the cycles so far: they begin with a time and end with a duration."""
    return [line for line in watch.lines if re.match(r"\d\d:\d\d:\d\d .* in \d+ ms$", line)]


def until_status(site: Site, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the status file says so; every reading of it must be a whole document."""

    def status() -> dict[str, Any]:
        found = json.loads((site / STATUS).read_bytes())
        return found if is_so(found) else {}

    return wait_until(status)
