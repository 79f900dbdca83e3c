"""`doit nimbus:worker:init`: the Worker's files in a project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from edge.workerd import NODE_MODULES, SECONDS, needs_workerd
from kit import Site
from worker_kit import init

import nimbus_tasks

if TYPE_CHECKING:
    pass

SHIPPED = Path(nimbus_tasks.__file__).parent / "gateway/worker"
MODULES = sorted(path.name for path in (SHIPPED / "src").glob("*.js"))
INDEX = "nimbus-gateway/src/index.js"


@pytest.fixture
def project(tmp_path: Path) -> Site:
    site = Site.new(tmp_path)
    return site


def written(site: Site, folder: str = "nimbus-gateway") -> dict[str, bytes]:
    files = (path for path in (site / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(site / folder)): path.read_bytes() for path in files}


def wrangler_settings(site: Site) -> dict[str, object]:
    lines = (site / "nimbus-gateway/wrangler.jsonc").read_text().splitlines()
    return json.loads("\n".join(line for line in lines if not line.strip().startswith("//")))


def test_init_writes_all_modules_settings_and_a_guide_and_says_what_is_next(project: Site) -> None:
    said = init(project)
    files = written(project)
    assert sorted(files) == sorted([f"src/{name}" for name in MODULES] + ["README.md", "wrangler.jsonc"])
    for name in MODULES:
        assert files[f"src/{name}"].endswith((SHIPPED / "src" / name).read_bytes())
    for step in ("npx wrangler deploy", "npx wrangler secret put NIMBUS_ADMIN_SECRET", "nimbus:key:create", "[target]"):
        assert step in said


def test_init_twice_changes_nothing(project: Site) -> None:
    init(project)
    before = {path: path.stat().st_mtime_ns for path in (project / "nimbus-gateway").rglob("*")}
    assert "nothing changed" in init(project)
    assert {path: path.stat().st_mtime_ns for path in (project / "nimbus-gateway").rglob("*")} == before


def test_wrangler_settings_come_from_the_project(project: Site) -> None:
    project.settings('[target]\nnamespaces = { NIMBUS_STATUS = "id-3", NIMBUS_PAGES = "id-2", NIMBUS_LOGS = "" }')
    init(project, KV_NAMESPACE_ID="id-1")
    said = wrangler_settings(project)
    assert said["name"] == "swiss-watch-repair-gateway"
    assert said["main"] == "src/index.js"
    assert said["kv_namespaces"] == [
        {"binding": "NIMBUS_KV", "id": "id-1"},
        {"binding": "NIMBUS_PAGES", "id": "id-2"},
        {"binding": "NIMBUS_STATUS", "id": "id-3"},
    ]


@pytest.mark.parametrize(
    ("name", "worker"),
    [
        ("Züri Uhren!", "zuri-uhren-gateway"),
        ("修理", "nimbus-0123456789ab-gateway"),
        ("a" * 200, "a" * 40 + "-gateway"),
        ('"}, //${name}', "name-gateway"),
    ],
)
def test_any_project_name_gives_a_name_for_the_worker(project: Site, name: str, worker: str) -> None:
    project.write(".nimbus/project.toml", f'[project]\nid = "proj_0123456789ab"\nname = {json.dumps(name)}\n')
    init(project)
    assert wrangler_settings(project)["name"] == worker


def test_without_namespace_ids_wrangler_makes_the_namespace(project: Site) -> None:
    init(project)
    assert wrangler_settings(project)["kv_namespaces"] == [{"binding": "NIMBUS_KV"}]


def test_modules_that_are_ours_but_older_are_updated_and_named(project: Site) -> None:
    """An older release is one whose files differ: the package is copied, and changed there."""
    older = project / "older"
    shutil.copytree(
        Path(nimbus_tasks.__file__).parent, older / "nimbus_tasks", ignore=shutil.ignore_patterns("__pycache__")
    )
    module = older / "nimbus_tasks/gateway/worker/src/answers.js"
    module.write_bytes(b"// an older one\n" + module.read_bytes())
    init(project, PYTHONPATH=str(older))
    assert b"// an older one" in written(project)["src/answers.js"]

    said = init(project)
    assert "1 file updated" in said
    assert "nimbus-gateway/src/answers.js" in said
    assert written(project)["src/answers.js"].endswith((SHIPPED / "src/answers.js").read_bytes())


def test_a_module_that_the_user_changed_stays_until_forced(project: Site) -> None:
    init(project)
    as_made = (project / INDEX).read_text()
    project.write(INDEX, as_made + "// mine\n")
    said = init(project)
    assert f"{INDEX} was changed here, and stays as it is" in said
    assert (project / INDEX).read_text().endswith("// mine\n")

    assert INDEX in init(project, "--force")
    assert (project / INDEX).read_text() == as_made


def test_wrangler_settings_and_guide_that_the_user_changed_stay_even_if_forced(project: Site) -> None:
    init(project)
    project.write("nimbus-gateway/wrangler.jsonc", '{"name": "mine"}\n')
    project.write("nimbus-gateway/README.md", "Ours.\n")
    said = init(project, "--force")
    assert "nimbus-gateway/wrangler.jsonc is yours" in said
    assert (project / "nimbus-gateway/wrangler.jsonc").read_text() == '{"name": "mine"}\n'
    assert (project / "nimbus-gateway/README.md").read_text() == "Ours.\n"


def test_force_spares_a_program_that_is_not_ours(project: Site) -> None:
    project.write("app/src/index.js", "serve();\n")
    assert "app/src/index.js was not made by this command" in init(project, "--folder=app", "--force")
    assert (project / "app/src/index.js").read_text() == "serve();\n"


def test_a_file_that_went_missing_comes_back(project: Site) -> None:
    init(project)
    project.remove(INDEX)
    assert "1 file written" in init(project)
    assert (project / INDEX).exists()


@pytest.mark.parametrize(
    "folder",
    [
        *("", ".", "..", "../elsewhere", "/", "/tmp/elsewhere", "a/../..", "outward/below", "taken"),
        *("dodo.py", "dodo.py/below", ".nimbus", ".nimbus/worker", "inward/worker", "a\nb", "x" * 300, "loop"),
    ],
)
def test_a_folder_that_cannot_be_is_refused_in_one_line(project: Site, folder: str, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / "outward").symlink_to(elsewhere)
    (project / "inward").symlink_to(project / ".nimbus")
    (project / "loop").symlink_to(project / "loop")
    (project / "taken").mkdir()
    (project / "taken/src").symlink_to(elsewhere)
    before = set(os.listdir(project.folder))
    run = project.doit("nimbus:worker:init", f"--folder={folder}")
    assert run.status == 2
    assert len(run.said.splitlines()) == 1, run.said
    assert "--folder=" in run.said
    assert set(os.listdir(project.folder)) - before <= {"__pycache__"}
    assert {path.name.partition("-")[0] for path in (project / ".nimbus").iterdir()} <= {"project.toml", "doit.db"}
    assert os.listdir(project / "taken") == ["src"]
    assert not list(elsewhere.iterdir())


@needs_workerd
def test_wrangler_takes_what_was_written(project: Site) -> None:
    init(project)
    offline = {"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false", "CI": "1"}
    done = subprocess.run(
        ["node", NODE_MODULES / "wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", project / "bundle"],
        cwd=project / "nimbus-gateway",
        env={**os.environ, **offline, "HOME": str(project / "home")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (project / "bundle/index.js").is_file()
