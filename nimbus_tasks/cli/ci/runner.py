"""The CI that runs us, as its environment says: where the repository is, and where it reads what we have to say."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.ci.github import MOST_ANNOTATIONS, annotation_commands
from nimbus_tasks.cli.ci.markdown import MOST_BYTES, written
from nimbus_tasks.project import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nimbus_tasks.cli.ci.markdown import Section
    from nimbus_tasks.cli.ci.problems import Problem
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.publishing.outcome import PageResult

#: Where a checkout is, in GitHub Actions and in GitLab CI.
_REPOSITORY = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


class Runner:
    """One process in a CI, or on a desk: then there is nobody to tell."""

    def __init__(self, console: Console, environment: Mapping[str, str] | None = None) -> None:
        self._console = console
        self._environment = os.environ if environment is None else environment
        self._said: set[Problem] = set()
        self._annotated: Counter[str] = Counter()

    @property
    def annotates(self) -> bool:
        """Whether annotations are read from what we print."""
        return self._environment.get("GITHUB_ACTIONS") == "true"

    @property
    def folder(self) -> str:
        """The project's folder, relative to the repository, POSIX; empty where it is the same or is not known."""
        here = Path.cwd()
        for name in _REPOSITORY:
            if (root := self._environment.get(name)) and here.is_relative_to(Path(root).resolve()):
                below = here.relative_to(Path(root).resolve()).as_posix()
                return "" if below == "." else below
        return ""

    def annotate(self, problems: Iterable[Problem], report: str) -> None:
        """Show problems at their files; each once, and no more of a kind than GitHub shows for a step."""
        if not self.annotates:
            return
        new = [problem for problem in problems if problem not in self._said]
        self._said.update(new)
        for severity in ("error", "warning"):
            some = [problem for problem in new if problem.severity == severity]
            room = MOST_ANNOTATIONS - self._annotated[severity]
            for command in annotation_commands(some, report, room, self.folder):
                self._annotated[severity] += 1
                self._console.instruct(command)

    def summarize(self, section: Section) -> None:
        """Add to the job's page ($GITHUB_STEP_SUMMARY), as far as there is room; where it cannot be, warn."""
        path = self._environment.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        try:
            with open(path, "ab") as file:
                file.write(written(section, MOST_BYTES - file.tell()).encode("utf-8", "replace"))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._console.warn(f"$GITHUB_STEP_SUMMARY ({path}) cannot be written: {reason}.")

    def write_code_quality(self, path: str, problems: Iterable[Problem]) -> None:
        """Write GitLab's code quality report.

        Raises:
            StateError: the file cannot be written.
        """
        from nimbus_tasks.cli.ci.gitlab import code_quality

        files.write_json(Path(path), code_quality(problems, self.folder))

    def write_junit(self, path: str, pages: Sequence[PageResult], issues: Iterable[Issue], started: str) -> None:
        """Write a JUnit report.

        Raises:
            StateError: the file cannot be written.
        """
        from nimbus_tasks.cli.ci.junit import junit

        files.replace(Path(path), junit(pages, issues, started).encode("utf-8", "replace"))
