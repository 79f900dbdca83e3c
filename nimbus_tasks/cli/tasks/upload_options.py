"""What `upload` and `nimbus:upload` can be asked."""

from __future__ import annotations

from typing import Any

from nimbus_tasks.cli.tasks.session import option
from nimbus_tasks.project.settings import MAPS_FOLDER
from nimbus_tasks.publishing.options import Request

#: Reports for a CI, written beside what the command says.
CI_REPORTS = [
    option("code_quality", "", "a file for the issues, as GitLab's code quality report"),
    option("junit", "", "a file for the pages, as JUnit XML"),
]

UPLOAD = [
    option("limit", 0, "at most so many changed pages (0: all)"),
    option("batch", "", "go on with this batch"),
    option("concurrency", 0, "requests at a time (0: as in the settings, 5)"),
    option("delay", -1, "least ms between two requests of a slot (-1: as in the settings, 0)"),
    option("dry_run", False, "say what would be sent, and why"),
    option("force", False, "send unchanged pages too"),
    *CI_REPORTS,
]


def request_of(options: dict[str, Any], *, folder: str = MAPS_FOLDER) -> Request:
    return Request(
        limit=options["limit"],
        batch=options["batch"],
        concurrency=options["concurrency"] or None,
        delay=None if options["delay"] == -1 else options["delay"],
        dry_run=options["dry_run"],
        force=options["force"],
        folder=folder,
        code_quality=options["code_quality"],
        junit=options["junit"],
    )
