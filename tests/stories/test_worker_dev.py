"""`doit nimbus:worker:dev`: the Worker on this machine, and what it needs there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from edge.workerd import NODE_MODULES, needs_workerd
from kit import Site
from schema import conforms
from worker_kit import files_with, give_miniflare, init, local_worker

import nimbus_tasks
from nimbus_tasks.gateway.miniflare import MINIFLARE

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIPPED = Path(nimbus_tasks.__file__).parent / "gateway/worker"
INDEX = "nimbus-gateway/src/index.js"


@pytest.fixture
def project(tmp_path: Path) -> Site:
    site = Site.new(tmp_path)
    return site


@pytest.fixture
def with_miniflare(project: Site) -> Site:
    give_miniflare(project)
    return project


@needs_workerd
def test_it_runs_until_ctrl_c_and_ends_with_all_its_processes(with_miniflare: Site) -> None:
    with local_worker(with_miniflare) as worker:
        assert f'worker_url = "{worker.url}"' in worker.doit.until("worker_url")
        assert len(worker.processes) >= 2  # node and workerd
        assert worker.status("wrong") == 401
        assert worker.doit.interrupt() == 0
        worker.wait_for_all()


@needs_workerd
def test_killed_outright_it_leaves_no_process_behind(with_miniflare: Site) -> None:
    with local_worker(with_miniflare) as worker:
        assert len(worker.processes) >= 2
        worker.doit.process.kill()
        worker.wait_for_all()


@needs_workerd
def test_a_worker_that_ends_by_itself_is_told(with_miniflare: Site) -> None:
    with local_worker(with_miniflare) as worker:
        os.kill(worker.processes[0], signal.SIGKILL)
        assert worker.doit.end() == 2
        assert "The Worker ended by itself" in worker.doit.lines[-1]
        worker.wait_for_all()


def test_ctrl_c_again_ends_a_worker_that_does_not_end(project: Site, tmp_path: Path) -> None:
    """A node that says that the Worker runs, and then hears nothing any more."""
    package = "node_modules/miniflare/package.json"
    project.write(package, '{"version": "4.20260426.0"}')
    programs = tmp_path / "programs"
    programs.mkdir()
    url = '{"url": "http://127.0.0.1:1"}'
    program(programs / "node", f"[ $1 = --version ] && exec echo v20.0.0; echo '{url}'; trap '' TERM; sleep 600 & wait")
    with local_worker(project, PATH=f"{programs}:{os.environ['PATH']}") as worker:
        assert len(worker.processes) >= 1
        process = worker.doit.process
        while worker.runs:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert worker.doit.end() == 0


@needs_workerd
def test_it_runs_the_projects_own_copy(with_miniflare: Site) -> None:
    init(with_miniflare)
    own = (with_miniflare / INDEX).read_text().replace('new Map([["GET", greet]])', "new Map()")
    with_miniflare.write(INDEX, own)
    with local_worker(with_miniflare, "--json") as worker:
        worker.doit.until("{")
        worker.doit.until("}")
        told = json.loads("".join(worker.doit.lines[worker.doit.lines.index("{") :]))
        conforms(told, "worker_dev")
        assert (told["url"], told["worker"]) == (worker.url, INDEX)
        assert worker.status(admin_secret(with_miniflare)) == 405


@needs_workerd
def test_the_admins_secret_is_made_once_and_kept_for_its_owner_alone(with_miniflare: Site) -> None:
    with_miniflare.write(".nimbus/credentials.toml", 'PINATA_JWT = "x.y.z"\n[more]\nNIMBUS_ADMIN_SECRET = "not this"\n')
    file = with_miniflare / ".nimbus/credentials.toml"
    file.chmod(0o600)
    with local_worker(with_miniflare) as worker:
        secret = admin_secret(with_miniflare)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert 'PINATA_JWT = "x.y.z"\n[more]\n' in file.read_text()
        with worker.client(secret) as admin:
            admin.put("/kv/user%3Aa", json={"value": "kept"}).raise_for_status()
        assert worker.doit.interrupt() == 0
        assert not any(secret in line for line in worker.doit.lines)
    assert files_with(with_miniflare, secret) == [str(file)]
    with local_worker(with_miniflare) as worker, worker.client(secret) as admin:
        assert admin.get("/kv/user%3Aa").text == "kept"


def admin_secret(site: Site) -> str:
    first, _, _ = (site / ".nimbus/credentials.toml").read_text().partition("\n")
    return json.loads(first.removeprefix("NIMBUS_ADMIN_SECRET = "))


@needs_workerd
def test_a_second_one_over_the_same_store_is_refused(with_miniflare: Site) -> None:
    with local_worker(with_miniflare) as worker:
        run = with_miniflare.doit("nimbus:worker:dev", "--port=0")
        assert run.status == 2
        assert f"runs already: {worker.url}" in run.said
        assert len(run.said.splitlines()) == 1


@needs_workerd
@pytest.mark.parametrize("below", [False, True])
def test_miniflare_is_found_where_node_finds_it(tmp_path: Path, below: bool) -> None:
    """In a project of a larger repository it stands above; a gateway with its own package.json has it below."""
    give_miniflare(Site(tmp_path))
    site = Site.new(tmp_path if below else tmp_path / "site")
    if below:
        (site / "nimbus-gateway").mkdir()
        (site / "node_modules").rename(site / "nimbus-gateway/node_modules")
    with local_worker(site, PATH=without_npm(tmp_path)) as worker:
        assert worker.status("wrong") == 401


@needs_workerd
def test_where_there_is_no_miniflare_npm_installs_it_once(project: Site, tmp_path: Path) -> None:
    """An npm that needs no network: it writes down how it was called, and links what is here."""
    path = with_npm(
        tmp_path,
        f'pwd; echo "$@"; env; cat package.json; exec >&2; ln -s "{NODE_MODULES}" node_modules',
        tmp_path / "log",
    )
    with local_worker(project, PATH=path, CLOUDFLARE_API_TOKEN="t0p-secret", NIMBUS_API_KEY="t0p-secret") as worker:
        assert any("Installing Cloudflare's local runtime (miniflare 4." in line for line in worker.doit.lines)
        assert worker.status("wrong") == 401
    called = (tmp_path / "log").read_text()
    assert "install --ignore-scripts" in called
    assert f'"miniflare": "{MINIFLARE}"' in called
    assert "t0p-secret" not in called
    assert admin_secret(project) not in called
    (tmp_path / "log").unlink()
    with local_worker(project, PATH=path) as worker:
        assert not any("Installing" in line for line in worker.doit.lines)
    assert not (tmp_path / "log").exists()


def test_what_npm_installs_is_what_the_tests_run_on() -> None:
    package = json.loads((NODE_MODULES.parent / "package.json").read_text())
    assert package["devDependencies"]["miniflare"] == MINIFLARE
    assert f"miniflare@{MINIFLARE}" in (SHIPPED / "dev.mjs").read_text()


def test_an_npm_that_fails_is_one_line(project: Site, tmp_path: Path) -> None:
    npm_says = "npm error code ENOTFOUND\nnpm error network request to https://npm.example failed.\nnpm error A log: x"
    path = with_npm(tmp_path, f"printf '%s' '{npm_says}' >&2; exit 1", tmp_path / "log")
    run = project.doit("nimbus:worker:dev", "--port=0", PATH=path)
    assert run.status == 2
    assert "npm cannot install miniflare 4." in run.said.splitlines()[-1]
    assert "network request to https://npm.example failed. Check the network" in run.said.splitlines()[-1]
    assert not (project / ".nimbus/node").exists()
    assert not list((project / ".nimbus").glob("node-*"))


def test_an_npm_that_installs_nothing_is_one_line(project: Site, tmp_path: Path) -> None:
    run = project.doit("nimbus:worker:dev", "--port=0", PATH=with_npm(tmp_path, "exit 0", tmp_path / "log"))
    assert run.status == 2
    assert "it is not there" in run.said.splitlines()[-1]


def test_without_npm_it_is_one_line(project: Site, tmp_path: Path) -> None:
    run = project.doit("nimbus:worker:dev", "--port=0", PATH=without_npm(tmp_path))
    assert run.status == 2
    assert "there is no `npm` here" in run.said.splitlines()[-1]


@pytest.mark.parametrize("said", [None, "v16.20.2", "nonsense", ""])
def test_without_a_node_that_can_it_is_one_line(project: Site, tmp_path: Path, said: str | None) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if said is not None:
        program(programs / "node", f"echo '{said}'")
    run = project.doit("nimbus:worker:dev", "--port=0", PATH=str(programs))
    assert run.status == 2
    assert len(run.said.splitlines()) == 1
    assert "Install Node.js 20 or later" in run.said


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_one_line(project: Site, taken_port: int) -> None:
    run = project.doit("nimbus:worker:dev", f"--port={taken_port}")
    assert run.status == 2
    assert len(run.said.splitlines()) == 1
    assert f"Port {taken_port} cannot be used: address already in use" in run.said


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_what_is_no_port_is_one_line(project: Site, port: str) -> None:
    run = project.doit("nimbus:worker:dev", f"--port={port}")
    assert run.status == 2
    assert "must be 0 to 65535" in run.said
    assert len(run.said.splitlines()) == 1


@pytest.mark.parametrize("secret", ["short", "x" * 257])
@needs_workerd
def test_a_secret_that_the_worker_would_not_take_is_one_line(with_miniflare: Site, secret: str) -> None:
    run = with_miniflare.doit("nimbus:worker:dev", "--port=0", NIMBUS_ADMIN_SECRET=secret)
    assert run.status == 2
    assert "16 to 256 characters" in run.said
    assert len(run.said.splitlines()) == 1
    assert secret not in run.said


def test_a_folder_without_a_worker_is_one_line(project: Site) -> None:
    run = project.doit("nimbus:worker:dev", "--folder=elsewhere")
    assert run.status == 2
    assert "doit nimbus:worker:init --folder=elsewhere" in run.said
    assert len(run.said.splitlines()) == 1


@needs_workerd
def test_a_worker_that_cannot_start_says_why(with_miniflare: Site) -> None:
    init(with_miniflare)
    with_miniflare.write(INDEX, "export default {;\n")
    run = with_miniflare.doit("nimbus:worker:dev", "--port=0", "--folder=nimbus-gateway")
    assert run.status == 2
    assert "The Worker does not start: Unable to parse" in run.said.splitlines()[-1]
    assert INDEX in run.said.splitlines()[-1]


def with_npm(folder: Path, script: str, log: Path) -> str:
    """Return a PATH whose npm is this script, and whose node is the real one."""
    path = without_npm(folder)
    program(Path(path.split(":")[0]) / "npm", f"{{ {script}; }} >> {log}")
    return path


def without_npm(folder: Path) -> str:
    programs = folder / "programs"
    programs.mkdir()
    for name in ("node", "sh", "ln", "cat", "env"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    return str(programs)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
