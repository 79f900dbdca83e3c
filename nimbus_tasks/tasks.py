"""The names that a dodo.py imports besides `from nimbus_tasks import *`: `DOIT_CONFIG` and `prefixed`."""

from nimbus_tasks.cli.tasks import *  # noqa: F403
from nimbus_tasks.cli.tasks import DOIT_CONFIG, prefixed

__all__ = ["DOIT_CONFIG", "prefixed"]
