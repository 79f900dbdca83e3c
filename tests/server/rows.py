"""Assets as an upload leaves them, for tests that need no upload."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update

from nimbus_tasks.server.database import Database
from nimbus_tasks.server.tables import assets


def add_assets(database: Database, count: int = 1, *, user: str = "ann", start: int = 0, **values: Any) -> list[str]:
    """Add assets, the oldest first; return their ids."""
    rows = []
    for number in range(start, start + count):
        id_, name = str(uuid4()), f"photo-{number}.jpg"
        rows.append(
            {
                "id": id_,
                "user_id": user,
                "pathname": f"assets/{user}/{id_}/{name}",
                "blob_url": f"http://127.0.0.1/assets/{user}/{id_}/{name}",
                "filename": name,
                "size": 1000,
                "mime_type": "image/jpeg",
                "checksum": hashlib.sha256(id_.encode()).hexdigest(),
                "created_at": 1_000_000 + number,
                **values,
            }
        )
    with database.writing() as connection:
        for begin in range(0, count, 1000):
            connection.execute(assets.insert(), rows[begin : begin + 1000])
    return [row["id"] for row in rows]


def row_of(database: Database, id_: str) -> Any:
    with database.reading() as connection:
        return connection.execute(select(assets).where(assets.c.id == id_)).one()


def change(database: Database, id_: str, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(update(assets).where(assets.c.id == id_).values(values))
