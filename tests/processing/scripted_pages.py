"""Tasks for the dodo.py of tests: nimbus:process with an optimiser that does as each page says.

A page with the text `slow=2.5` takes that many seconds, `fail=CODE` fails temporarily, `fatal=CODE` permanently,
`once=CODE` at its first try only, and `bug` breaks the optimiser. `journal` lists the start and end of each.
`PROCESS_SETTINGS` in the environment holds settings of `[process]` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec

from nimbus_tasks.cli import tasks
from nimbus_tasks.cli.commands.process import ProcessCommands
from nimbus_tasks.cli.tasks.session import command, console, option, pipeline
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.processing.optimise import Change, Optimised
from nimbus_tasks.project.settings import ProcessSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.processing.optimise import Page

_ORDER = re.compile(r"\b(slow|fail|fatal|once|bug)(?:=([\w.]+))?")


class PageError(NimbusError):
    def __init__(self, code: str, *, final: bool) -> None:
        super().__init__(f"It says {code}.")
        self.code, self.final = code, final


class Obedient:
    """The optimiser."""

    def __init__(self) -> None:
        self._journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    name = "obedient"

    async def optimise(self, page: Page) -> Optimised:
        self.note("begin", page)
        order = dict(_ORDER.findall(" ".join(block.content for block in page.blocks)))
        await asyncio.sleep(float(order.get("slow", 0)))
        if "bug" in order:
            raise ValueError("sk_live_secret")
        if "once" in order and self.begun(page) == 1:
            raise PageError(order["once"], final=False)
        if "fail" in order or "fatal" in order:
            raise PageError(order.get("fail") or order["fatal"], final="fatal" in order)
        self.note("end", page)
        change = Change("title", "title", page.head["title"], "A better title", "It is better.")
        return Optimised((change,), 0.9, "obedient")

    def note(self, what: str, page: Page) -> None:
        line = {"what": what, "page": page.page_id, "pid": os.getpid(), "at": time.time()}
        os.write(self._journal, json.dumps(line).encode() + b"\n")

    def begun(self, page: Page) -> int:
        return sum(line["what"] == "begin" and line["page"] == page.page_id for line in journal())

    async def close(self) -> None:
        os.close(self._journal)


def journal() -> list[dict[str, Any]]:
    with open("journal", "rb") as file:
        return [json.loads(line) for line in file]


async def _make(*_: object) -> Obedient:
    return Obedient()


def task_nimbus() -> Iterator[Any]:
    """Yield all tasks, nimbus:process with the optimiser of the tests."""
    yield from (task for task in tasks.task_nimbus() if task.name != "nimbus:process")
    chosen = msgspec.convert(json.loads(os.environ.get("PROCESS_SETTINGS", "{}")), ProcessSettings)
    process = ProcessCommands(console, pipeline, chosen, _make)
    yield command(
        "nimbus:process",
        "Take pages from the queue and optimise them",
        process.process,
        params=[
            option("once", False, "what may be tried now, then end"),
            option("until_empty", False, "until nothing waits"),
            option("workers", 0, "pages at a time"),
            option("max_pages", 0, "pages at most"),
        ],
    )
