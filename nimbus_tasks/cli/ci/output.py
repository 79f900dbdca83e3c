"""What a command tells a CI beside what it says: annotations, the reports that were asked for, the job's page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import manifest
from nimbus_tasks.project.settings import VALIDATION_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.cli.ci.runner import Runner
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import Summary


class CIOutput:
    """For all commands of one process: GitHub shows so many annotations of a step, whichever command made them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._made: Runner | None = None

    @property
    def _runner(self) -> Runner:
        from nimbus_tasks.cli.ci.runner import Runner

        self._made = self._made or Runner(self._console)
        return self._made

    def tell(
        self, issues: Callable[[], Sequence[Issue]], site: Callable[[], Summary], code_quality: str, junit: str
    ) -> bool:
        """Annotate what is wrong, and write the reports that were asked for. Return whether all could be written.

        Args:
            issues: returns what validation found.
            site: returns what became of each page; neither is called where nobody wants to know.
            code_quality: the file for GitLab's code quality report; empty: none.
            junit: the file for the JUnit report; empty: none.
        """
        if not (code_quality or junit or self._runner.annotates):
            return True
        from nimbus_tasks.cli.ci.problems import of_failures, of_issues

        found, summary = issues(), site()
        sources = manifest.read_sources(Path()).entries
        made_from = {entry.map_file: path for path, entry in sources.items() if entry.map_file}
        problems = [*of_issues(found, made_from), *of_failures(summary.pages)]
        self._runner.annotate(problems, VALIDATION_REPORT)
        try:
            if code_quality:
                self._runner.write_code_quality(code_quality, problems)
            if junit:
                self._runner.write_junit(junit, summary.pages, found, summary.started)
        except StateError as error:
            # What the command is for has been done: that stays, and this is said beside it.
            self._console.fail(str(error))
            return False
        return True

    def show(self, site: Summary) -> None:
        """Add what an upload did to the job's page."""
        if os.environ.get("GITHUB_STEP_SUMMARY"):
            from nimbus_tasks.cli.ci import markdown

            self._runner.summarize(markdown.site(site))


def check_reports(code_quality: str, junit: str) -> None:
    """Refuse a file for a report that can be none, before anything is done.

    Raises:
        SettingsError: it names the option.
    """
    for option, path, beginning in (("code-quality", code_quality, b"["), ("junit", junit, b"<?xml")):
        if path and (path.endswith("/") or Path(path).is_dir()):
            raise SettingsError(f"--{option}={path} is a folder.", f"Name a file, such as {path.rstrip('/')}/{option}.")
        if path and not _may_be_written(Path(path), beginning):
            raise SettingsError(f"--{option}={path} is there, and is no such report.", "Name another file.")
    if code_quality and junit and Path(code_quality) == Path(junit):
        raise SettingsError(f"--code-quality and --junit both name {junit}.", "Name two files.")


def _may_be_written(path: Path, beginning: bytes) -> bool:
    """Say whether a report may take this place: nothing is there, or one of an earlier run. A page never is."""
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) in (b"", beginning)
    except OSError:
        return True  # nothing, or what cannot be read, which cannot be written either and will be told then
