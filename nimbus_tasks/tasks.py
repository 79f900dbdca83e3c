"""The name under which a dodo.py imports `DOIT_CONFIG` and `prefixed`; the tasks are in `nimbus_tasks.cli.tasks`."""

from nimbus_tasks.cli.tasks import *  # noqa: F403
from nimbus_tasks.cli.tasks import DOIT_CONFIG, prefixed

__all__ = ["DOIT_CONFIG", "prefixed"]
