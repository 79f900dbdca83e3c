"""The commands as doit tasks: names, dependencies, options, one call each. No logic.

`from nimbus_tasks import *` in a dodo.py brings them, next to tasks of one's own. Where those have some of the names
already, `prefixed` brings ours under others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doit import reporter_for
from nimbus_tasks.cli.tasks.batches import following_tasks
from nimbus_tasks.cli.tasks.doctor import doctor_tasks
from nimbus_tasks.cli.tasks.gateway import gateway_tasks
from nimbus_tasks.cli.tasks.pipeline import (
    task__validate,
    task_extract,
    task_summarize,
    task_upload,
    task_validate,
    task_watch,
)
from nimbus_tasks.cli.tasks.process import process_tasks
from nimbus_tasks.cli.tasks.project import project_tasks
from nimbus_tasks.cli.tasks.session import console
from nimbus_tasks.cli.tasks.stream import streaming_tasks
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

__all__ = [
    "DOIT_CONFIG",
    "task__validate",
    "task_extract",
    "task_nimbus",
    "task_summarize",
    "task_upload",
    "task_validate",
    "task_watch",
]

DOIT_CONFIG = {
    "default_tasks": ["summarize"],
    "backend": "sqlite3",  # the only state file that two doit processes may write at once
    # A folder that does not exist would be a traceback; without a project there is no state to keep.
    "dep_file": f"{STATE_FOLDER}/doit.db" if Path(STATE_FOLDER).is_dir() else ":memory:",
    "verbosity": 2,
    "reporter": reporter_for(console),
}


def task_nimbus() -> Iterator[Task]:
    """The commands under the names that Gulp users type."""
    yield from project_tasks()
    yield from following_tasks()
    yield from process_tasks()
    yield from gateway_tasks()
    yield from doctor_tasks()
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

    for create in (task_extract, task__validate, task_validate, task_upload, task_summarize, task_watch):
        task = create()
        task.name = renamed(task.name)
        task.task_dep = [renamed(name) for name in task.task_dep]
        yield task
    yield from task_nimbus()
