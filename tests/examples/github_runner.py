"""Run the steps of a GitHub workflow in a fresh checkout, with the documented variables of a runner.

`run:` steps run unchanged. Actions are replaced by what their documentation promises: checkout by a clone, setup-python
by our virtual environment on the PATH, cache/restore and cache/save by copies of files. `pip install` only looks
whether all is installed. An unknown action or expression is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from example import on_a_runner
from kit import Run, ended

if TYPE_CHECKING:
    from pathlib import Path

    from repository import Repository
    from saved_files import SavedFiles

_EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")


class GitHub:
    """Successive runs of workflows with a single job."""

    def __init__(self, repository: Repository, cache: SavedFiles, folder: Path, known: dict[str, str]) -> None:
        """`known`: the repository's variables and secrets, as `vars.NAME` and `secrets.NAME`."""
        self._repository, self._cache, self._folder, self._known = repository, cache, folder, known
        self.runs = 0

    def run(self, workflow: str, **machine: str) -> Job:
        """Run a workflow on a new runner. `machine`: environment variables from outside the workflow."""
        self.runs += 1
        description = yaml.safe_load((self._repository.example / workflow).read_text())
        (job,) = description["jobs"].values()
        context = {"github.ref_name": "main", "github.run_id": str(self.runs), "github.run_attempt": "1", **self._known}
        runner = self._folder / f"runner{self.runs}"
        runner.mkdir(parents=True)
        return Job(runner, self._repository, self._cache, context, machine).steps(job["steps"])


class Job:
    """A job: its exit status, the output of its `run:` steps, its summary page."""

    def __init__(
        self, runner: Path, repository: Repository, cache: SavedFiles, context: dict[str, str], machine: dict[str, str]
    ) -> None:
        self.checkout = runner / "checkout"
        self.status = 0
        self.said: dict[str, Run] = {}
        self.summary = ""
        self._runner, self._repository, self._cache, self._context = runner, repository, cache, context
        self._machine = machine

    def steps(self, steps: list[dict[str, Any]]) -> Job:
        for step in steps:
            condition = step.get("if", "success()").removeprefix("${{").removesuffix("}}").strip()
            assert condition in {"success()", "always()"}, condition
            if self.status and condition == "success()":
                continue
            if "uses" in step:
                self._use(step["uses"].partition("@")[0], step.get("with", {}))
            else:
                self._run(step)
        return self

    def _use(self, action: str, inputs: dict[str, str]) -> None:
        if action == "actions/checkout":
            self._repository.clone(self.checkout)
        elif action == "actions/cache/restore":
            self._cache.restore(
                self._filled(inputs["key"]), self.checkout, self._filled(inputs["restore-keys"]).split()
            )
        elif action == "actions/cache/save":
            key = self._filled(inputs["key"])
            assert key not in self._cache, "an entry is written once"
            self._cache.save(key, self.checkout, inputs["path"].split())
        else:
            assert action == "actions/setup-python", action

    def _run(self, step: dict[str, Any]) -> None:
        script, page = self._runner / "script.sh", self._runner / "summary.md"
        script.write_text(step["run"])
        page.write_text("")
        done = ended(
            ["bash", "-e", str(script)],  # the default for a step without `shell:`
            self.checkout,
            on_a_runner(
                self._runner,
                GITHUB_ACTIONS="true",
                GITHUB_WORKSPACE=str(self.checkout),
                GITHUB_REF_NAME=self._context["github.ref_name"],
                GITHUB_RUN_ID=self._context["github.run_id"],
                GITHUB_STEP_SUMMARY=str(page),
                **self._machine,
                **{name: self._filled(value) for name, value in step.get("env", {}).items()},
            ),
        )
        self.said[step.get("name", step["run"])] = done
        self.summary += page.read_text()
        self.status = self.status or done.status

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: self._context[found[1]], text)
