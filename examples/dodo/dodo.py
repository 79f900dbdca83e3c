"""A dodo.py with tasks of its own, and the tasks of Nimbus Tasks beside them."""

from pathlib import Path

import nimbus_tasks
from nimbus_tasks import *

# Theirs first, so that the backend (two doit processes may share it) and the reporter (--json) stay.
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
    """As `extract` comes, but after `build`: so upload, validate and summarize come after it too."""
    task = nimbus_tasks.task_extract()
    task.task_dep.append("build")
    return task


def task_feed():
    """Write the list of published pages -> feed.txt, once the upload went well"""
    return {"actions": [feed], "task_dep": ["upload"], "file_dep": PAGES, "targets": ["feed.txt"], "clean": True}


def task_site():
    """Everything: built, published, summarized, and the feed"""
    return {"actions": None, "task_dep": ["summarize", "feed"]}


def build():
    Path("dist").mkdir(exist_ok=True)
    top, bottom = Path("top.html").read_text(), Path("bottom.html").read_text()
    for page in PAGES:
        Path("dist", page.name).write_text(top + page.read_text() + bottom)
    # A page that was removed from pages/ must not stay on the site.
    for built in Path("dist").glob("*.html"):
        if not Path("pages", built.name).exists():
            built.unlink()


def feed():
    Path("feed.txt").write_text("".join(f"https://www.example.com/{page.name}\n" for page in PAGES))
