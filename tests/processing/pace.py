"""How fast pages are processed, for benchmarks.

    with made(...) as target:
        pages_a_second(folder, 1000, workers=4, processes=4, environment=target.environment)

The optimiser is that of the tests, which takes no time (or `slow` seconds for a page): the rest is measured.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

from kit import DODO, Site

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pace(NamedTuple):
    pages: int
    seconds: float
    twice: int

    @property
    def pages_a_second(self) -> float:
        return self.pages / self.seconds


def pages_a_second(
    folder: Path,
    pages: int,
    *,
    workers: int = 4,
    processes: int = 1,
    slow: float = 0.0,
    environment: Mapping[str, str] | None = None,
) -> Pace:
    """Upload pages and process them; measure from the start of the first page to the end of the last."""
    target = dict(environment or {})
    site = Site.new(folder)
    text = f"slow={slow}" if slow else "We repair watches by hand. " * 40
    for number in range(pages):
        site.page(f"p{number:05d}", text)
    here = str(Path(__file__).parent)
    site.write("dodo.py", f"import sys\nsys.path.insert(0, {here!r})\n{DODO}from scripted_pages import task_nimbus\n")
    published = site.doit("upload", **target)
    if published.status:
        raise RuntimeError(published.said)
    command = ("nimbus:process", "--until-empty", f"--workers={workers}")
    with contextlib.ExitStack() as stack:
        some = [stack.enter_context(site.start(*command, **target)) for _ in range(processes)]
        statuses = [each.end() for each in some]
    if any(statuses):
        raise RuntimeError("\n".join(line for each in some for line in each.lines))
    lines = [json.loads(line) for line in (site / "journal").read_text().splitlines()]
    began = [line["page"] for line in lines if line["what"] == "begin"]
    times = [line["at"] for line in lines]
    return Pace(len(set(began)), max(times) - min(times), len(began) - len(set(began)))
