"""Between doit and us: tasks and their options, up-to-date checks, exit statuses, one console for both."""

from nimbus_tasks.cli.doit.commands import correct_doit
from nimbus_tasks.cli.doit.run import reporter_for, run
from nimbus_tasks.cli.doit.task import NimbusTask, UpToDate, UpToDateUnlessAsked, made_tasks, make_task

__all__ = ["NimbusTask", "UpToDate", "UpToDateUnlessAsked", "made_tasks", "make_task", "reporter_for", "run"]

correct_doit()
