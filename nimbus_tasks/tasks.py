"""The commands as doit tasks: names, dependencies, options, one call each. No logic.

`from nimbus_tasks import *` in a dodo.py brings them, next to tasks of one's own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.exceptions import TaskError, TaskFailed

from nimbus_tasks.commands import NOTHING_DONE, OK, Commands
from nimbus_tasks.console import Console
from nimbus_tasks.errors import NimbusError
from nimbus_tasks.manifest import PAGES, SOURCES
from nimbus_tasks.reporter import SPEAKS, reporter_for
from nimbus_tasks.request import Request
from nimbus_tasks.settings import (
    MAPS_FOLDER,
    STATE_FOLDER,
    SUMMARY_REPORT,
    UPLOAD_REPORT,
    VALIDATION_REPORT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

console = Console()
_commands = Commands(console)

DOIT_CONFIG = {
    "default_tasks": ["summarize"],
    "backend": "sqlite3",  # the only state file that two doit processes may write at once
    # A folder that does not exist would be a traceback; without a project there is no state to keep.
    "dep_file": f"{STATE_FOLDER}/doit.db" if Path(STATE_FOLDER).is_dir() else ":memory:",
    "verbosity": 2,
    "reporter": reporter_for(console),
}

_JSON: dict[str, Any] = {
    "name": "json",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "one JSON document on standard output",
}
_VERBOSE: dict[str, Any] = {
    "name": "verbose",
    "long": "verbose",
    "type": bool,
    "default": False,
    "help": "a line for each page",
}
_UPLOAD: list[dict[str, Any]] = [
    {
        "name": "limit",
        "long": "limit",
        "type": int,
        "default": 0,
        "help": "at most so many changed pages (0: all)",
    },
    {"name": "batch", "long": "batch", "default": "", "help": "go on with this batch"},
    {
        "name": "concurrency",
        "long": "concurrency",
        "type": int,
        "default": 0,
        "help": "requests at a time (0: as in the settings, 5)",
    },
    {
        "name": "delay",
        "long": "delay",
        "type": int,
        "default": -1,
        "help": "least ms between two requests of a slot (-1: as in the settings, 0)",
    },
    {
        "name": "dry_run",
        "long": "dry-run",
        "type": bool,
        "default": False,
        "help": "say what would be sent, and why",
    },
    {"name": "force", "long": "force", "type": bool, "default": False, "help": "send unchanged pages too"},
    _JSON,
    _VERBOSE,
]


def _run(command: Callable[[], int], **values: str) -> dict[str, str] | TaskFailed | TaskError:
    """Turn an exit status or an error of ours into what doit understands, with nothing printed twice."""
    try:
        status = command()
    except NimbusError as error:
        console.fail(str(error))
        status = error.exit_status
    except KeyboardInterrupt:
        console.line()
        console.fail("Interrupted. What was stored is safe; the same command goes on from there.")
        sys.exit(130)
    if status == OK:
        return values
    kind = TaskError if status == NOTHING_DONE else TaskFailed
    return kind("", report=False)


class UpToDate:
    """Whether a stage has nothing to do, in a form that `doit info` can print."""

    def __init__(self, verdict: Callable[[], bool], words: Callable[[], str]) -> None:
        self._verdict = verdict
        self._words = words

    def __call__(self) -> bool:
        try:
            return self._verdict()
        except NimbusError:
            return False  # the stage itself will say what is wrong

    def __repr__(self) -> str:
        try:
            return self._words()
        except NimbusError as error:
            return str(error)


class UploadFreshness(UpToDate):
    """Also notes whether doit remembers an upload at all: if not, the target is asked what it holds."""

    forgotten = True

    def __call__(self, task: Any, values: dict[str, str]) -> bool:  # type: ignore[override]
        """Doit passes the task and what its last good run returned, by these names."""
        self.forgotten = "site" not in values
        asked = {name: value for name, value in (task.options or {}).items() if value != _DEFAULTS.get(name)}
        return not (self.forgotten or asked) and super().__call__()


_DEFAULTS = {option["name"]: option["default"] for option in _UPLOAD}
_pipeline = _commands.pipeline
_freshness = UploadFreshness(_pipeline.is_published, _pipeline.upload_needed)


def task_extract() -> dict[str, Any]:
    """HTML that changed -> map files in .nimbus/maps

    Reads [source] and [dimensions] of .nimbus/project.toml. Files that are not pages to publish (redirects,
    noindex, no HTML) are skipped and listed with their reason.

    Examples:
      doit extract
      doit clean extract    remove the maps that extraction made
    """
    return {
        **_task(lambda: _run(_commands.extract)),
        "targets": [SOURCES],
        "uptodate": [UpToDate(lambda: _pipeline.sources.nothing_to_do, lambda: str(_pipeline.sources))],
        "clean": [_clean(_commands.clean_extraction)],
    }


def task__validate() -> dict[str, Any]:
    """Map files that changed -> verdicts, for the stages that need them; invalid pages do not end it."""
    return {
        **_task(lambda: _run(_commands.check)),
        "file_dep": [SOURCES],
        "targets": [PAGES],
        "uptodate": [UpToDate(lambda: _pipeline.map_files.nothing_to_do, lambda: str(_pipeline.map_files))],
        "clean": [_clean(lambda dry_run: _commands.clean([PAGES, VALIDATION_REPORT], dry_run=dry_run))],
    }


def task_validate() -> dict[str, Any]:
    """Check every map, and name all that is wrong with each

    Each issue names the file, the place in it (a JSON pointer) and what to do. Warnings do not keep a page back.
    Everything is also in .nimbus/reports/validation.json. Ends with status 1 if a page is invalid.

    Examples:
      doit validate
      doit validate --verbose    every warning too
      doit validate --json
    """

    def validate(json: bool, verbose: bool) -> object:
        return _run(lambda: _commands.validate(verbose=verbose, as_json=json))

    return {**_task(validate), "task_dep": ["extract", "_validate"], "params": [_JSON, _VERBOSE]}


def task_upload() -> dict[str, Any]:
    """Send the pages that changed to the store, and queue them for optimisation

    Extracts and validates first. Invalid pages stay behind and are named; the others are sent. Killed or
    interrupted, the next run goes on where it stopped and sends nothing twice.

    Examples:
      doit upload
      doit upload --dry-run            what would be sent, and why
      doit upload --limit 100          at most 100 of the changed pages
      doit upload --force              every page again
      doit upload --batch batch_20240902_134500    more pages for a batch
      doit upload --json > upload.json
      doit forget upload               the next upload asks the store what it holds
    """

    def upload(json: bool, verbose: bool, **options: Any) -> object:
        request = _request(options, ask_target=_freshness.forgotten)
        status = _run(lambda: _commands.upload(request, verbose=verbose, as_json=json))
        return {"site": _pipeline.pages.site} if status == {} and not request.dry_run else status

    return {
        **_task(upload),
        "file_dep": [PAGES],
        "uptodate": [_freshness],
        "params": _UPLOAD,
        "clean": [_clean(lambda dry_run: _commands.clean([UPLOAD_REPORT], dry_run=dry_run))],
    }


def task_summarize() -> dict[str, Any]:
    """Say what is published and what is not, and write .nimbus/reports/summary.json

    In GitHub Actions it also adds a table to the job's summary page. The last stage: `doit` alone does it all.

    Examples:
      doit
      doit summarize --json
    """

    def summarize(json: bool) -> object:
        return _run(lambda: _commands.summarize(as_json=json))

    return {
        **_task(summarize),
        "task_dep": ["upload"],
        "params": [_JSON],
        "clean": [_clean(lambda dry_run: _commands.clean([SUMMARY_REPORT], dry_run=dry_run))],
    }


def task_watch() -> dict[str, Any]:
    """Run the pipeline, then again after each change, until Ctrl-C

    One line a cycle says what was sent and how long it took. A session shares one batch. Invalid pages are shown
    and the watch goes on.

    Examples:
      doit watch
      doit watch --debounce 500    wait for half a second without a change
    """

    def watch(debounce: int) -> object:
        from nimbus_tasks.watch import watch as start  # noqa: PLC0415 - imports watchfiles

        return _run(lambda: start(_commands, debounce))

    debounce = {
        "name": "debounce",
        "long": "debounce",
        "type": int,
        "default": 100,
        "help": "ms without a change before a cycle starts",
    }
    return {**_task(watch), "params": [debounce]}


def task_nimbus() -> Iterator[dict[str, Any]]:
    """The commands under the names that Gulp users type"""
    yield {
        **_task(lambda name, domain, source: _run(lambda: _commands.init(name, domain, source))),
        "basename": "nimbus:project:init",
        "doc": _INIT_HELP,
        "params": [
            {"name": "name", "long": "name", "default": "", "help": "the project's name (the folder's)"},
            {"name": "domain", "long": "domain", "default": "", "help": "the site's domain"},
            {
                "name": "source",
                "long": "source",
                "default": "",
                "help": "folder with the built HTML (detected)",
            },
        ],
    }

    def upload(json: bool, verbose: bool, **options: Any) -> object:
        request = _request(options, folder=options["folder"])
        return _run(lambda: _commands.upload(request, verbose=verbose, as_json=json, validate_first=True))

    folder = {"name": "folder", "long": "folder", "default": MAPS_FOLDER, "help": "folder of map files"}
    yield {
        **_task(upload),
        "basename": "nimbus:upload",
        "doc": _NIMBUS_UPLOAD_HELP,
        "params": [folder, *_UPLOAD],
    }


_INIT_HELP = """Make a project here: .nimbus/project.toml and .gitignore

Finds the folder with the built HTML (dist, build, _site, public, out, site), and asks only on a terminal. Run
twice, it changes nothing.

Examples:
  doit nimbus:project:init
  doit nimbus:project:init --name="Swiss Watch Repair" --domain=example.com --source=dist
"""
_NIMBUS_UPLOAD_HELP = """Validate and upload a folder of maps that exists already, with no HTML at all

For projects that write .nimbus/maps/*.json themselves. A folder other than .nimbus/maps is taken as some of the
site's pages: those that are not in it stay as they are.

Examples:
  doit nimbus:upload --folder=.nimbus/maps --limit=100
  doit nimbus:upload --dry-run
"""


def _task(action: Callable[..., object]) -> dict[str, Any]:
    # Uncaptured, so that a live bar is live and its frames are not kept.
    return {"actions": [action], "meta": SPEAKS, "io": {"capture": False}, "verbosity": 2}


def _clean(remove: Callable[..., None]) -> Callable[[bool], None]:
    def clean(dryrun: bool) -> None:
        remove(dry_run=dryrun)

    return clean


def _request(options: dict[str, Any], *, ask_target: bool = False, folder: str = MAPS_FOLDER) -> Request:
    return Request(
        limit=options["limit"],
        batch=options["batch"],
        concurrency=options["concurrency"] or None,
        delay=None if options["delay"] < 0 else options["delay"],
        dry_run=options["dry_run"],
        force=options["force"],
        ask_target=ask_target,
        folder=folder,
    )
