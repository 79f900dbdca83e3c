"""The commands as doit tasks: names, dependencies, options, one call each. No logic.

`from nimbus_tasks import *` in a dodo.py brings them, beside the user's own tasks. `prefixed` brings them under other
names where the user's tasks already have some of ours.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doit import reporter_for
from nimbus_tasks.cli.tasks.apply import apply_task
from nimbus_tasks.cli.tasks.assets import asset_tasks
from nimbus_tasks.cli.tasks.batches import batch_tasks
from nimbus_tasks.cli.tasks.gateway import gateway_tasks
from nimbus_tasks.cli.tasks.pipeline import (
    maps_tasks,
    task__validate,
    task_assets,
    task_extract,
    task_summarize,
    task_upload,
    task_validate,
    task_watch,
)
from nimbus_tasks.cli.tasks.process import process_tasks
from nimbus_tasks.cli.tasks.project import project_tasks
from nimbus_tasks.cli.tasks.server import server_tasks
from nimbus_tasks.cli.tasks.session import console
from nimbus_tasks.cli.tasks.stream import streaming_tasks
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

__all__ = [
    "DOIT_CONFIG",
    "task__validate",
    "task_assets",
    "task_extract",
    "task_nimbus",
    "task_summarize",
    "task_upload",
    "task_validate",
    "task_watch",
]


def _state_file() -> str:
    """Return the file for doit's state, or `:memory:` where there is none and it cannot be made.

    doit fails with a traceback where the folder is missing or read-only. Without its state every stage runs.
    """
    file = Path(STATE_FOLDER, "doit.db")
    return str(file) if file.exists() or os.access(file.parent, os.W_OK) else ":memory:"


DOIT_CONFIG = {
    "default_tasks": ["summarize"],
    "backend": "sqlite3",  # the only state file that two doit processes may write at once
    "dep_file": _state_file(),
    "verbosity": 2,
    "reporter": reporter_for(console),
}


def task_nimbus() -> Iterator[Task]:
    """The commands under the names that Gulp users type."""
    yield from project_tasks()
    yield from maps_tasks()
    yield from asset_tasks()
    yield from batch_tasks()
    yield from process_tasks()
    yield apply_task()
    yield from gateway_tasks()
    yield from server_tasks()
    yield from streaming_tasks()


def prefixed(prefix: str) -> Iterator[Task]:
    """Yield the same tasks, with `site:upload` for `upload` and so on. The names `nimbus:...` stay.

    In a dodo.py, in place of `from nimbus_tasks import *`:

        from nimbus_tasks.tasks import DOIT_CONFIG, prefixed

        DOIT_CONFIG = {**DOIT_CONFIG, "default_tasks": ["site:summarize"]}

        def task_site():
            yield from prefixed("site")
    """

    def renamed(name: str) -> str:
        # doit does not list a name that starts with an underscore.
        return f"_{prefix}:{name[1:]}" if name.startswith("_") else f"{prefix}:{name}"

    stages = (task_extract, task__validate, task_validate, task_assets, task_upload, task_summarize)
    for create in (*stages, task_watch):
        task = create()
        task.name = renamed(task.name)
        task.task_dep = [renamed(name) for name in task.task_dep]
        yield task
    yield from task_nimbus()
