"""Run the jobs of a .gitlab-ci.yml by stage, each in a fresh checkout with the documented variables.

`before_script` and `script` run unchanged, in one shell that ends at the first failure. The image is replaced by our
virtual environment, the checkout by a clone, the cache by copies of files. Artifacts stay where the job left them.
Rules are ignored: all jobs of the default branch run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from example import on_a_runner
from kit import Run, ended

if TYPE_CHECKING:
    from pathlib import Path

    from repository import Repository
    from saved_files import SavedFiles

_NO_JOBS = {"stages", "default"}


class GitLab:
    """Successive pipelines."""

    def __init__(self, repository: Repository, cache: SavedFiles, folder: Path, variables: dict[str, str]) -> None:
        """`variables`: the project's CI/CD variables."""
        self._repository, self._cache, self._folder, self._variables = repository, cache, folder, variables
        self.pipelines = 0

    def run(self, *, cached: bool = True) -> dict[str, Job]:
        """Run the pipeline of a push to the default branch. Return its jobs, up to the first failure."""
        self.pipelines += 1
        description = yaml.safe_load((self._repository.example / ".gitlab-ci.yml").read_text())
        jobs = {name: job for name, job in description.items() if name not in _NO_JOBS}
        assert [job["stage"] for job in jobs.values()] == description["stages"]
        done: dict[str, Job] = {}
        for name, job in jobs.items():
            runner = self._folder / f"pipeline{self.pipelines}" / name
            runner.mkdir(parents=True)
            done[name] = self._job(runner, description["default"] | job, cached=cached)
            if done[name].status:
                break
        return done

    def _job(self, runner: Path, job: dict[str, Any], *, cached: bool) -> Job:
        checkout = self._repository.clone(runner / "checkout")
        cache = job.get("cache") if cached else None
        key = cache["key"].replace("$CI_COMMIT_REF_SLUG", "main") if cache else ""
        if cache:
            self._cache.restore(key, checkout)
        lines = [*job["before_script"], *job["script"]]
        ran = ended(
            ["bash", "-c", "set -eo pipefail\n" + "\n".join(lines)],
            checkout,
            on_a_runner(
                runner,
                GITLAB_CI="true",
                CI_PROJECT_DIR=str(checkout),
                CI_COMMIT_BRANCH="main",
                CI_DEFAULT_BRANCH="main",
                CI_COMMIT_REF_SLUG="main",
                **self._variables,
            ),
        )
        if cache and (not ran.status or cache["when"] == "always"):
            self._cache.save(key, checkout, cache["paths"])
        artifacts = job.get("artifacts", {})
        reports = {kind: checkout / path for kind, path in artifacts.get("reports", {}).items()}
        return Job(checkout, ran, reports)


class Job:
    """A job: its exit status, output and reports."""

    def __init__(self, checkout: Path, said: Run, reports: dict[str, Path]) -> None:
        self.checkout, self.said, self.reports = checkout, said, reports
        self.status = said.status
