"""A dodo.py with its own tasks next to those of Nimbus Tasks."""

from pathlib import Path

import nimbus_tasks
from nimbus_tasks import *

# Keep their backend (two doit processes may share it) and reporter (for --json).
DOIT_CONFIG = {**DOIT_CONFIG, "default_tasks": ["site"]}

PAGES = sorted(Path("pages").glob("*.html"))


def task_build():
    """Put each page of pages/ between top.html and bottom.html -> dist/"""
    return {
        "actions": [build],
        "file_dep": ["top.html", "bottom.html", *PAGES],
        "targets": [Path("dist", page.name) for page in PAGES],
        "clean": True,
    }


def task_extract():
    """Run `extract` after `build`; upload, validate and summarize follow"""
    task = nimbus_tasks.task_extract()
    task.task_dep.append("build")
    return task


def task_feed():
    """Write the list of published pages -> feed.txt, after a successful upload"""
    return {"actions": [feed], "task_dep": ["upload"], "file_dep": PAGES, "targets": ["feed.txt"], "clean": True}


def task_site():
    """Build, publish, summarize and write the feed"""
    return {"actions": None, "task_dep": ["summarize", "feed"]}


def build():
    Path("dist").mkdir(exist_ok=True)
    top, bottom = Path("top.html").read_text(), Path("bottom.html").read_text()
    for page in PAGES:
        Path("dist", page.name).write_text(top + page.read_text() + bottom)
    # Remove built pages whose source in pages/ is gone.
    for built in Path("dist").glob("*.html"):
        if not Path("pages", built.name).exists():
            built.unlink()


def feed():
    Path("feed.txt").write_text("".join(f"https://www.example.com/{page.name}\n" for page in PAGES))
