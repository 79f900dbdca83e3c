"""What a command gives a CI besides its own output: annotations, report files, the job's summary page."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.manifest import Manifest
from nimbus_tasks.project.secrets import hide
from nimbus_tasks.project.settings import VALIDATION_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nimbus_tasks.cli.ci.markdown import Section
    from nimbus_tasks.cli.ci.problems import Problem
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import Summary

#: The folder of the checkout, in GitHub Actions and in GitLab CI.
_REPOSITORY = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


class CIOutput:
    """Shared by all commands of a process: GitHub limits the annotations of a step, whichever command made them."""

    def __init__(self, console: Console, environment: Mapping[str, str] | None = None) -> None:
        self._console = console
        self._environment = os.environ if environment is None else environment
        self._seen: set[Problem] = set()
        self._annotated: Counter[str] = Counter()

    @property
    def annotates(self) -> bool:
        """Whether the CI reads annotations from our output."""
        return self._environment.get("GITHUB_ACTIONS") == "true"

    @property
    def folder(self) -> str:
        """The project's folder relative to the repository, POSIX; empty where it is the same or unknown."""
        here = Path.cwd()
        for name in _REPOSITORY:
            if (root := self._environment.get(name)) and here.is_relative_to(Path(root).resolve()):
                below = here.relative_to(Path(root).resolve()).as_posix()
                return "" if below == "." else below
        return ""

    def report(
        self, issues: Callable[[], Sequence[Issue]], site: Callable[[], Summary], code_quality: str, junit: str
    ) -> bool:
        """Annotate problems and write the requested reports. Return whether all could be written.

        Args:
            issues: returns what validation found.
            site: returns the result of each page; neither is called unless its answer is needed.
            code_quality: the file for GitLab's code quality report; empty: none.
            junit: the file for the JUnit report; empty: none.
        """
        if not (code_quality or junit or self.annotates):
            return True
        from nimbus_tasks.cli.ci.problems import of_failures, of_issues

        found, summary = issues(), site()
        made_from = {entry.map_file: path for path, entry in Manifest().sources.where("map_file != ''")}
        problems = [*of_issues(found, made_from), *of_failures(summary.pages)]
        self.annotate(problems, VALIDATION_REPORT)
        try:
            self.write_reports(code_quality, junit, problems, found, summary)
        except StateError as error:
            # The command has done its work: that stays, and this is reported beside it.
            self._console.fail(str(error))
            return False
        return True

    def annotate(self, problems: Iterable[Problem], report: str) -> None:
        """Show each problem once at its file, up to the number that GitHub shows for a step."""
        if not self.annotates:
            return
        from nimbus_tasks.cli.ci.problems import MAX_ANNOTATIONS, annotation_commands

        new = [problem for problem in problems if problem not in self._seen]
        self._seen.update(new)
        for severity in ("error", "warning"):
            some = [problem for problem in new if problem.severity == severity]
            room = MAX_ANNOTATIONS - self._annotated[severity]
            for command in annotation_commands(some, report, room, self.folder):
                self._annotated[severity] += 1
                self._console.instruct(command)

    def write_reports(
        self, code_quality: str, junit: str, problems: Iterable[Problem], issues: Iterable[Issue], site: Summary
    ) -> None:
        """Write the requested reports.

        Raises:
            StateError: a file cannot be written.
        """
        from nimbus_tasks.cli.ci.junit import junit as junit_report
        from nimbus_tasks.cli.ci.problems import code_quality as quality_report

        if code_quality:
            files.write_json(Path(code_quality), quality_report(problems, self.folder))
        if junit:
            report = junit_report(site.pages, issues, site.started)
            files.replace(Path(junit), hide(report).encode("utf-8", "replace"))

    def show_site(self, site: Summary) -> None:
        """Add the result of an upload to the job's summary page."""
        if self._environment.get("GITHUB_STEP_SUMMARY"):
            from nimbus_tasks.cli.ci import markdown

            self.summarize(markdown.site(site))

    def summarize(self, section: Section) -> None:
        """Add a section to the job's summary page ($GITHUB_STEP_SUMMARY), as far as there is room."""
        path = self._environment.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        from nimbus_tasks.cli.ci.markdown import MAX_BYTES, rendered

        try:
            with open(path, "ab") as file:
                file.write(hide(rendered(section, MAX_BYTES - file.tell())).encode("utf-8", "replace"))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._console.warn(f"$GITHUB_STEP_SUMMARY ({path}) cannot be written: {reason}.")


def check_reports(code_quality: str, junit: str) -> None:
    """Refuse an impossible report file before any work is done.

    Raises:
        SettingsError: names the option.
    """
    for option, path, beginning in (("code-quality", code_quality, b"["), ("junit", junit, b"<?xml")):
        if path and (path.endswith("/") or Path(path).is_dir()):
            raise SettingsError(f"--{option}={path} is a folder.", f"Name a file, such as {path.rstrip('/')}/{option}.")
        files.refuse_missing_folder(f"--{option}", path)
        if path and not _may_be_replaced(Path(path), beginning):
            raise SettingsError(f"--{option}={path} exists and is not such a report.", "Name another file.")
    if code_quality and junit and Path(code_quality) == Path(junit):
        raise SettingsError(f"--code-quality and --junit both name {junit}.", "Name two files.")


def _may_be_replaced(path: Path, beginning: bytes) -> bool:
    """Return whether the file is missing, empty or a report of an earlier run."""
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) in (b"", beginning)
    except OSError:
        return True  # missing, or unreadable: then writing it fails and says why
