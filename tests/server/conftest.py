"""`database_url`: an empty database of each kind, one after the other. `web`: one service for many tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from databases import PROGRAMS, Postgres
from service_process import ServiceProcess

from nimbus_tasks.server.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    if PROGRAMS is None:
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/server.db"
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Two processes on SQLite that do no jobs, behind a proxy on this machine. Tests that share them have own users."""
    settings = '[server]\ntrusted_proxies = ["127.0.0.1"]\ndirect_upload_percent = 99\nrate_per_minute = 1\n'
    with ServiceProcess(tmp_path_factory.mktemp("web"), "--role=web", "--workers=2", settings=settings) as service:
        yield service
        assert service.stop() == 0


@pytest.fixture(scope="session")
def with_tables() -> dict[str, str]:
    """Kind -> an address of a database with all tables, to copy: migrations take a second."""
    return {}


@pytest.fixture
def database(request: pytest.FixtureRequest, database_url: str, with_tables: dict[str, str]) -> Iterator[Database]:
    """A database with all tables."""
    opened = Database(_copied(request, database_url, with_tables))
    yield opened
    opened.close()


def _copied(request: pytest.FixtureRequest, url: str, with_tables: dict[str, str]) -> str:
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    if kind not in with_tables:
        folder = request.getfixturevalue("tmp_path_factory").mktemp("tables")
        made = (
            f"sqlite:///{folder}/server.db" if kind == "sqlite" else request.getfixturevalue("postgres").new_database()
        )
        first = Database(made)
        first.migrate()
        first.close()
        with_tables[kind] = made
    if kind == "sqlite":
        shutil.copy(with_tables[kind].removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        return url
    copied: str = request.getfixturevalue("postgres").new_database(with_tables[kind])
    return copied
