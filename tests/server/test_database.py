"""The service's database: both kinds behave alike, and are brought up to date under a lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.server import connections
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.tables import buckets, metadata


def test_migrations_make_the_tables_that_the_program_uses(database: Database) -> None:
    with database.reading() as connection:
        options = {"include_name": lambda name, *_: not str(name).startswith("search_text")}  # each has its own kind
        different = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert different == []


def test_several_processes_may_start_at_once(database_url: str) -> None:
    opened = [Database(database_url) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Database.migrate, opened))

    with opened[0].reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    for each in opened:
        each.close()


def test_an_older_program_refuses_a_newer_database(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreError, match="cannot be brought up to date"):
        database.migrate()


async def _count_up(database: Database) -> None:
    insert = database.insert(buckets).values(name="one", tokens=1, updated=0)
    more = insert.on_conflict_do_update(index_elements=["name"], set_={"tokens": buckets.c.tokens + 1})
    await database.write(lambda connection: connection.execute(more))


def test_writes_at_once_lose_nothing(database: Database) -> None:
    import asyncio

    async def run() -> int | None:
        await asyncio.gather(*(_count_up(database) for _ in range(100)))
        return await database.read(lambda connection: connection.execute(select(buckets.c.tokens)).scalar())

    assert asyncio.run(run()) == 100


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(database.insert(buckets).values(name="one", tokens=1, updated=0))
        raise ZeroDivisionError

    with database.reading() as connection:
        assert connection.execute(select(buckets.c.name)).all() == []


def test_connections_that_the_server_has_closed_are_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECKED_AFTER", 0)
    for open_ in (database.reading, database.writing):
        with open_() as connection:
            number = None if database.is_sqlite else connection.scalar(text("SELECT pg_backend_pid()"))
        if number is not None:
            other = Database(database.url.render_as_string(hide_password=False))
            with other.reading() as connection:
                connection.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
            other.close()

        with open_() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name"])
def test_a_wrong_address_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        Database(url)


def test_no_folder_is_made_for_an_address(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/server.db")
    with pytest.raises(SettingsError, match="missing, which is no folder"):
        database.migrate()
    database.close()
    assert not (tmp_path / "missing").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "server.db").write_bytes(b"garbage" * 1000)
    database = Database(f"sqlite:///{tmp_path}/server.db")
    with pytest.raises(StoreError, match=r"not a database\. Restore a backup"):
        database.migrate()
    database.close()


def test_no_password_is_shown(tmp_path: Path) -> None:
    database = Database("postgresql://ann:secret@127.0.0.1:1/name")

    with pytest.raises(StoreError, match="does not answer") as raised:
        database.migrate()
    assert "secret" not in str(raised.value)
    database.close()
