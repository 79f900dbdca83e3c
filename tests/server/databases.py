"""PostgreSQL as Debian has it, started by the tests as an unprivileged user on 127.0.0.1.

with Postgres(tmp_path) as postgres:
    postgres.new_database()  # the address of an empty one
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg
import pytest
from deadlines import SECONDS

#: Debian's package, installed or unpacked by `make servers`.
_ROOTS = (Path("/"), Path(__file__).parents[2] / ".cache/postgresql")
#: Its server refuses to run as root.
_USER = "nobody"


def _programs() -> Path | None:
    """Return the folder of the programs, where they run: what was unpacked may lack a library of the system."""
    for root in _ROOTS:
        for folder in root.glob("usr/lib/postgresql/*/bin"):
            versions = [[folder / "postgres", "--version"], [folder / "initdb", "--version"]]
            if all(_runs(each) for each in versions):
                return folder
    return None


def _runs(command: list[Path | str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


PROGRAMS = _programs()
needs_postgres = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not here: apt-get install postgresql")


class Postgres:
    """One running server. Fast and forgetful: nothing is flushed to the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"

    def __enter__(self) -> Self:
        assert PROGRAMS is not None
        if os.geteuid() == 0:
            self._folder = Path("/tmp") / f"nimbus-postgres-{uuid4().hex[:12]}"  # pytest's folders are root's alone
            self._data = self._folder / "data"
        self._folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, pwd.getpwnam(_USER).pw_gid)
        self._run(PROGRAMS / "initdb", "-D", self._data, "-A", "trust", "-U", "nimbus", "-E", "UTF8", "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=127.0.0.1")
        options += (f"port={self.port}", f"unix_socket_directories={self._folder}")
        told = [each for option in options for each in ("-c", option)]
        self._process = subprocess.Popen(
            [*self._as_user(), str(PROGRAMS / "postgres"), "-D", str(self._data), *told],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self._admin().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, "PostgreSQL ended"
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # waits for connections to end
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self, like: str = "") -> str:
        """Return the address of a new database: empty, or a copy of another one that nobody uses."""
        name = f"test_{uuid4().hex}"
        template = like.rpartition("/")[2] or "template1"
        with self._admin() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"postgresql://nimbus@127.0.0.1:{self.port}/{name}"

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(f"postgresql://nimbus@127.0.0.1:{self.port}/postgres", autocommit=True)

    def _run(self, *command: object) -> None:
        subprocess.run([*self._as_user(), *map(str, command)], check=True, capture_output=True, cwd="/")

    def _as_user(self) -> list[str]:
        return ["setpriv", f"--reuid={_USER}", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
