"""The package as npm packs it: it says what the tasks are, in words and in types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from catalogue import PLUGIN, TYPES, files, known_tasks
from deadlines import SECONDS
from gulp_project import HERE, NODE_MODULES

import nimbus_tasks

#: Gulp's own, which it takes from the command line before anybody else can.
GULPS = {"help", "version", "require", "preload", "gulpfile", "cwd", "verify", "tasks", "tasks-simple", "tasks-json"}
GULPS |= {"tasks-depth", "depth", "compact-tasks", "sort-tasks", "color", "no-color", "silent", "continue", "series"}
GULPS |= {"log-level"}


def test_the_plugin_knows_the_tasks_and_options_that_there_are() -> None:
    for path, made in files().items():
        assert path.read_text(encoding="utf-8") == made, f"{path.name} is old: python tests/gulp/catalogue.py"


def test_options_mean_in_gulp_what_they_mean_in_doit() -> None:
    for task in known_tasks().values():
        for option in task.params:
            assert option["long"] not in GULPS
            # The plugin leaves out what is false.
            assert option["type"] is not bool or option["default"] is False


def test_the_package_holds_what_it_needs_and_depends_on_gulp_alone(packed: Path) -> None:
    described = json.loads((packed / "package.json").read_text())
    assert described["version"] == nimbus_tasks.__version__
    assert set(described["peerDependencies"]) == {"gulp"}
    assert "dependencies" not in described
    inside = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    beside = {str(path.relative_to(PLUGIN)) for path in PLUGIN.rglob("*") if path.is_file()}
    assert inside == beside


def test_every_module_is_sound_and_node_is_all_that_it_needs(packed: Path) -> None:
    script = "require(process.argv[1]); console.log(JSON.stringify(Object.keys(require.cache)))"
    done = subprocess.run(
        ["node", "-e", script, str(packed)], check=True, capture_output=True, timeout=SECONDS, cwd="/"
    )
    loaded = {Path(file) for file in json.loads(done.stdout)}
    assert loaded == {packed.resolve() / "tasks.json", *packed.resolve().rglob("*.js")}


def test_the_types_say_what_the_functions_take(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/gulp-nimbus").symlink_to(packed)
    (tmp_path / "typed.ts").write_text((HERE / "typed.ts").read_text())
    types = str(NODE_MODULES / "@types")
    options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext"]
    options += ["--lib", "es2023", "--typeRoots", types]  # the types of browsers take a third of the time
    command = ["node", str(NODE_MODULES / "typescript/bin/tsc"), *options, "--types", "node", "--preserveSymlinks"]
    done = subprocess.run(
        [*command, "typed.ts"], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_kind_of_option_is_used(name: str) -> None:
    known = json.loads((PLUGIN / "tasks.json").read_text(encoding="utf-8"))
    assert any(option["type"] == name for task in known["tasks"] for option in task["options"])
