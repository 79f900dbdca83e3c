"""Build with VitePress, then publish what changed."""

import nimbus_tasks
from nimbus_tasks import *


def task_build():
    """Build the site -> docs/.vitepress/dist"""
    return {"actions": ["npm run --silent build"]}


def task_extract():
    """Run `extract` after `build`; upload, validate and summarize follow"""
    task = nimbus_tasks.task_extract()
    task.task_dep.append("build")
    return task
