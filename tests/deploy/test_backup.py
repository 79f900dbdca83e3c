"""A backup is made while the service runs, and a new service goes on from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from databases import PROGRAMS, Postgres
from deadlines import SECONDS
from service_process import PROJECT, ServiceProcess, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = 5


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """The environments of two services, each with an empty database."""
    if request.param == "sqlite":
        yield [{}, {}]
        return
    if PROGRAMS is None or shutil.which("pg_dump") is None:
        pytest.skip("PostgreSQL's server or client is not here: apt-get install postgresql")
    with Postgres(tmp_path / "postgres") as server:
        yield [{"DATABASE_URL": server.new_database()} for _ in range(2)]


def script(name: str, folder: Path, backup: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(DEPLOY / name), str(backup)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_service_goes_on_from_a_backup_of_a_running_one(databases: list[dict[str, str]], tmp_path: Path) -> None:
    before, after = databases
    backup = tmp_path / "backup"
    with ServiceProcess(tmp_path / "old", "--role=web", **before) as old:
        key = old.new_key("user_mine")
        client = old.client("user_mine")
        kept = [client.upload(picture(number), f"{number}.png")["id"] for number in range(FILES)]
        stop = threading.Event()
        busy = threading.Thread(target=_upload_until, args=(old, stop))
        busy.start()
        try:
            for _ in range(2):  # the second one copies only what is new
                done = script("backup.sh", old.folder, backup, before)
                assert (done.returncode, done.stderr) == (0, "")
        finally:
            stop.set()
            busy.join()
    new = tmp_path / "new"
    (new / ".nimbus").mkdir(parents=True)
    done = script("restore.sh", new, backup, after)
    assert (done.returncode, done.stderr) == (0, "")
    assert (new / ".nimbus/project.toml").read_text() == PROJECT
    assert (new / "pyproject.toml").read_text() == (old.folder / "pyproject.toml").read_text()  # how doit finds us
    with (
        ServiceProcess(new, "--role=web", **after) as service,
        httpx.Client(base_url=service.url, headers={"authorization": f"Bearer {key}"}, timeout=SECONDS) as http,
    ):
        assets = {each["id"]: each for each in http.get("/api/assets?limit=100").raise_for_status().json()["assets"]}
        assert assets.keys() >= set(kept)
        for number, asset in enumerate(kept):
            address = httpx.URL(assets[asset]["blobUrl"]).raw_path.decode()
            assert http.get(address).raise_for_status().content == picture(number)
        for asset in assets.values():  # the ones of the busy minute, too
            http.get(httpx.URL(asset["blobUrl"]).raw_path.decode()).raise_for_status()
    done = script("restore.sh", new, backup, after)
    assert done.returncode == 1
    assert "move it away first" in done.stderr


def _upload_until(service: ServiceProcess, stop: threading.Event) -> None:
    client, number = service.client("user_mine"), 1000
    while not stop.is_set():
        number += 1
        client.upload(picture(number), f"{number}.png")


def test_scripts_in_the_wrong_place_say_so(tmp_path: Path) -> None:
    done = script("backup.sh", tmp_path, tmp_path / "backup", {})
    assert done.returncode == 1
    assert "There is no .nimbus here" in done.stderr
    done = script("restore.sh", tmp_path, tmp_path / "backup", {})
    assert done.returncode == 1
    assert "holds no backup" in done.stderr
