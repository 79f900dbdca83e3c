"""Search by words: both databases find the same."""

from __future__ import annotations

import pytest
from rows import add_assets, change
from sqlalchemy import update

from nimbus_tasks.server import search
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.tables import search_words

NAMES = ["IMG_2041-Zürich.jpg", "harbour.at.night.png", "Straße 7.webp", "日本の庭.png", "100%_wool'; --.jpg"]


def find(database: Database, query: str, *, user: str = "ann", most: int = 10) -> list[str]:
    with database.reading() as connection:
        return search.by_words(connection, user, query, most)


@pytest.fixture
def ids(database: Database) -> list[str]:
    ids = add_assets(database, len(NAMES))
    with database.writing() as connection:
        for id_, name in zip(ids, NAMES, strict=True):
            search.index(database, connection, id_, "ann", name)
    return ids


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("zurich", [0]),
        ("ZÜRICH 2041", [0]),
        ("zur", [0]),
        ("harbour", [1]),
        ("night.png", [1]),
        ("strasse", [2]),
        ("日本の庭", [3]),
        ("wool", [4]),
        ('" OR "', []),
        ("harbour zurich", []),
        ("'; DROP TABLE assets; --", []),
        ("NOT & | ! :* ( )", []),
        ("", []),
    ],
)
def test_file_names_are_found(database: Database, ids: list[str], query: str, places: list[int]) -> None:
    assert find(database, query) == [ids[place] for place in places]


def test_what_pages_say_is_found_and_replaced(database: Database, ids: list[str]) -> None:
    pages = [search.PageOfAsset("https://example.com/lakes", "Ponds")]

    def say(alt: list[str], titles: list[str], user: str = "ann") -> bool:
        with database.writing() as connection:
            context = search.ContextOfAsset(alt, titles, pages)
            return search.set_context(database, connection, user, ids[0], context)

    assert say(["A red boat"], ["Lakes of Switzerland", "Home"])
    assert find(database, "red lakes") == [ids[0]]
    assert say(["A blue boat"], [])
    assert find(database, "red") == find(database, "switzerland") == []
    assert find(database, "blue") == [ids[0]]
    change(database, ids[0], folder="Ferry/2024")
    assert say(["A blue boat"], [])
    assert find(database, "blue ferry 2024") == [ids[0]]
    assert not say(["Mine now"], [], user="bob")
    with database.reading() as connection:
        assert search.context_of(connection, ids[0]) == search.ContextOfAsset(["A blue boat"], [], pages)
        assert search.context_of(connection, "unknown") == search.NO_CONTEXT
        connection.execute(update(search_words).values(context='{"alt": ["Before there were pages"], "titles": []}'))
        assert search.context_of(connection, ids[0]) == search.ContextOfAsset(["Before there were pages"])


def test_others_and_deleted_ones_are_not_found(database: Database, ids: list[str]) -> None:
    assert find(database, "harbour", user="bob") == []
    change(database, ids[1], deleted_at=1)
    assert find(database, "harbour") == []
