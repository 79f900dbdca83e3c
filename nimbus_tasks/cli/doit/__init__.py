"""Between doit and us: tasks and their options, up-to-date checks, exit statuses, and a console that both share."""

from nimbus_tasks.cli.doit.exit_status import run
from nimbus_tasks.cli.doit.reporter import reporter_for
from nimbus_tasks.cli.doit.task import NimbusTask, made_tasks, make_task
from nimbus_tasks.cli.doit.unknown_tasks import answer_wrong_names
from nimbus_tasks.cli.doit.up_to_date import UpToDate, UpToDateUnlessAsked

__all__ = ["NimbusTask", "UpToDate", "UpToDateUnlessAsked", "made_tasks", "make_task", "reporter_for", "run"]

answer_wrong_names()
