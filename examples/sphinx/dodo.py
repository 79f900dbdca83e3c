"""Build with Sphinx and its theme Furo, then publish what changed."""

import nimbus_tasks
from nimbus_tasks import *


def task_build():
    """Build the site -> _build/html"""
    return {"actions": ["sphinx-build --quiet -a docs _build/html"]}


def task_extract():
    """Run `extract` after `build`; upload, validate and summarize follow"""
    task = nimbus_tasks.task_extract()
    task.task_dep.append("build")
    return task
