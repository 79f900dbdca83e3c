"""What Tab does behind `doit`, in real shells."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import shells
from kit import Site

if TYPE_CHECKING:
    from pathlib import Path

DODO = "from nimbus_tasks import *\n\n\ndef task_build():\n    return {'actions': ['true']}\n"

#: line -> the same after Tab, as far as it is clear
LINES = {
    "doit nimbus:bat": "doit nimbus:batch:",
    "doit nimbus:batch:sta": "doit nimbus:batch:status",
    "doit upload --dr": "doit upload --dry-run",
    "doit upload --lim": "doit upload --limit",
    "doit nimbus:completion --shell=z": "doit nimbus:completion --shell=zsh",
    "doit help val": "doit help validate",
    "doit bui": "doit build",
    "doit upload nimbus:batch:status --ba": "doit upload nimbus:batch:status --batch",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A project with a task of its own, and the three scripts."""
    site = Site.new(tmp_path_factory.mktemp("completion"))
    site.write("dodo.py", DODO)
    for shell in ("bash", "zsh", "fish"):
        run = site.doit("nimbus:completion", f"--shell={shell}")
        assert run.status == 0
        site.write(f"doit.{shell}", run.out)
    return site


def test_bash_completes_tasks_with_colons_options_and_values(project: Site) -> None:
    assert shells.bash(project, project / "doit.bash", *LINES) == list(LINES.values())


@shells.needs("zsh")
def test_zsh_completes_tasks_with_colons_options_and_values(project: Site) -> None:
    script = project / "doit.zsh"
    assert shells.zsh(project, script, *LINES) == list(LINES.values())
    assert shells.zsh(project, script, "doit nimbus:rec", sourced=True) == ["doit nimbus:reconcile"]


@shells.needs("fish")
def test_fish_completes_tasks_with_colons_options_and_values(project: Site) -> None:
    for line, completed in LINES.items():
        offered = shells.fish(project, project / "doit.fish", line)
        assert offered
        assert all(f"doit {each}".split()[-1] in each and each.startswith(completed.split()[-1]) for each in offered)


def test_bash_leaves_other_folders_to_what_completed_doit_before(project: Site, tmp_path: Path) -> None:
    elsewhere = Site(tmp_path)
    before = "before() { COMPREPLY=(something-else); }; complete -F before doit"
    script = project / "doit.bash"
    assert shells.bash(elsewhere, script, "doit nimb", before=before) == ["doit something-else"]
    assert shells.bash(project, script, "doit nimbus:rec", before=before) == ["doit nimbus:reconcile"]


def test_bash_sources_the_script_without_starting_a_program(project: Site) -> None:
    """With an empty PATH any program would be an error."""
    done = subprocess.run(
        [shells.find("bash"), "--norc", "-c", "PATH=; set -e; source ./doit.bash; complete -p doit"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=shells.SECONDS,
        check=True,
    )
    assert done.stderr == ""
    assert "_nimbus_doit" in done.stdout


def test_the_script_knows_every_task_that_doit_lists(project: Site) -> None:
    listed = {line.split()[0] for line in project.doit("list").out.splitlines()} - {"build"}
    for shell in ("bash", "zsh", "fish"):
        script = (project / f"doit.{shell}").read_text()
        assert all(task in script for task in listed)


def test_a_shell_that_there_is_not_is_named(project: Site) -> None:
    run = project.doit("nimbus:completion", "--shell=bsh")
    assert run.status == 2
    assert run.said == "❌ nimbus:completion --shell must be one of bash, zsh, fish. Did you mean bash?\n"
