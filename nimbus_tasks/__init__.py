"""Nimbus Tasks publishes a built static site as structured content to the edge, and sends only what changed.

`from nimbus_tasks import *` in a dodo.py brings the tasks and their settings for doit. The names are looked up on
demand: importing a room of the package does not import doit.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

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


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("nimbus_tasks.cli.tasks"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
