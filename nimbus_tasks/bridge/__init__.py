"""Between doit and us: tasks and their options, up-to-date checks, exit statuses, and a console that both share."""

from nimbus_tasks.bridge.freshness import UpToDate, UpToDateUnlessAsked
from nimbus_tasks.bridge.reporter import reporter_for
from nimbus_tasks.bridge.running import run
from nimbus_tasks.bridge.selection import answer_wrong_names
from nimbus_tasks.bridge.tasks import NimbusTask, made_tasks, make_task

__all__ = ["NimbusTask", "UpToDate", "UpToDateUnlessAsked", "made_tasks", "make_task", "reporter_for", "run"]

answer_wrong_names()
