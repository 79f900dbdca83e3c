"""`database_url`: an empty database of each kind, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from databases import PROGRAMS, Postgres

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


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with all tables."""
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.close()
