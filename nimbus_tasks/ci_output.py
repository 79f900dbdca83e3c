"""What a command tells a CI beside what it says: annotations, the reports that were asked for, the job's page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks import manifest
from nimbus_tasks.errors import StateError
from nimbus_tasks.settings import VALIDATION_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nimbus_tasks.ci.runner import Runner
    from nimbus_tasks.console import Console
    from nimbus_tasks.outcome import Summary
    from nimbus_tasks.verdict import Issue


class CIOutput:
    """For all commands of one process: GitHub shows so many annotations of a step, whichever command made them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._made: Runner | None = None

    @property
    def _runner(self) -> Runner:
        from nimbus_tasks.ci.runner import Runner  # noqa: PLC0415 - not where nothing changed

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
        from nimbus_tasks.ci.problems import of_failures, of_issues  # noqa: PLC0415

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
            from nimbus_tasks.ci import markdown  # noqa: PLC0415 - not on a desk

            self._runner.summarize(markdown.site(site))
