"""Search by words: of folder and file name, alt texts, titles of the pages that use it. FTS5 or tsvector, one table.

Words are folded here, so both databases find the same: lower case, no accents, no punctuation. A search finds assets
that have all of its words, or words that begin with them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Text, bindparam, select, text

from nimbus_tasks.server.tables import assets, search_words

if TYPE_CHECKING:
    from sqlalchemy import CTE, Connection, Insert
    from sqlalchemy.dialects import postgresql, sqlite

    from nimbus_tasks.server.database import Database, NewInsert

#: Words of a search that count, and characters of what is indexed.
MOST_WORDS = 12
LONGEST_TEXT = 20_000
_BREAKS = re.compile(r"[\W_]+")
_Text = Annotated[str, Meta(max_length=2000)]
#: An address on the web, or a path on a site. Not `javascript:`, nor `//host`, nor what a browser takes for that.
_ADDRESS = r"^(?:https?://[^\x00-\x20\x7f/\\?#@]+(?:[/?#][^\x00-\x20\x7f]*)?|/(?![/\\])[^\x00-\x20\x7f]*)$(?!\n)"
_SQLITE = text(
    "SELECT search_words.asset_id FROM search_text JOIN search_words ON search_words.number = search_text.rowid "
    "JOIN assets ON assets.id = search_words.asset_id AND assets.deleted_at IS NULL "
    "WHERE search_text MATCH :query AND search_words.user_id = :user "
    "ORDER BY search_text.rank, assets.created_at DESC LIMIT :most"
)
_POSTGRESQL = text(
    "SELECT search_words.asset_id FROM search_words "
    "JOIN assets ON assets.id = search_words.asset_id AND assets.deleted_at IS NULL "
    "WHERE to_tsvector('simple', words) @@ to_tsquery('simple', :query) AND search_words.user_id = :user "
    "ORDER BY ts_rank(to_tsvector('simple', words), to_tsquery('simple', :query)) DESC, assets.created_at DESC "
    "LIMIT :most"
)


class PageOfAsset(Struct, frozen=True):
    """A page that uses an asset. url: a path where the site's domain is not known."""

    url: Annotated[str, Meta(max_length=2000, pattern=_ADDRESS)]
    title: Annotated[str, Meta(max_length=300)] = ""


class ContextOfAsset(Struct, frozen=True):
    """What pages say of an asset: texts that it is found by, and which pages use it."""

    alt: Annotated[list[_Text], Meta(max_length=100)] = []
    titles: Annotated[list[_Text], Meta(max_length=100)] = []
    pages: Annotated[list[PageOfAsset], Meta(max_length=50)] = []


NO_CONTEXT = ContextOfAsset()


def fold(words: str) -> str:
    """Return words as they are indexed and searched."""
    plain = unicodedata.normalize("NFKD", words.casefold())
    return _BREAKS.sub(" ", "".join(each for each in plain if not unicodedata.combining(each))).strip()


def index(
    database: Database,
    connection: Connection,
    asset_id: str,
    user_id: str,
    path: str,
    context: ContextOfAsset = NO_CONTEXT,
) -> None:
    """Make an asset findable by its words, in place of those it had."""
    connection.execute(_index(database.insert), row_of(asset_id, user_id, path, context))


def row_of(asset_id: str, user_id: str, path: str, context: ContextOfAsset = NO_CONTEXT) -> dict[str, str]:
    """Return the row of `search_words` that an asset is found by. path: its folder and file name."""
    return {
        "asset_id": asset_id,
        "user_id": user_id,
        "context": msgspec.json.encode(context).decode(),
        "words": fold(" ".join((path, *context.alt, *context.titles)))[:LONGEST_TEXT],
    }


def indexing(stored: CTE) -> Insert:
    """Return what makes a new asset findable, as a part of the statement that stores it; its values: of `row_of`."""
    row = select(stored.c.id, *(bindparam(name, type_=Text) for name in ("user_id", "context", "words")))
    return search_words.insert().from_select(["asset_id", "user_id", "context", "words"], row)


@cache
def _index(insert: NewInsert) -> sqlite.Insert | postgresql.Insert:
    made = insert(search_words)
    changed = {name: made.excluded[name] for name in ("user_id", "context", "words")}
    return made.on_conflict_do_update(index_elements=["asset_id"], set_=changed)


def set_context(
    database: Database, connection: Connection, user_id: str, asset_id: str, context: ContextOfAsset
) -> bool:
    """Say what pages say of an asset; False where the user has no such asset."""
    mine = (assets.c.id == asset_id, assets.c.user_id == user_id, assets.c.deleted_at.is_(None))
    path = connection.execute(select(assets.c.folder + "/" + assets.c.filename).where(*mine)).scalar()
    if path is None:
        return False
    index(database, connection, asset_id, user_id, path, context)
    return True


def context_of(connection: Connection, asset_id: str) -> ContextOfAsset:
    """Return what pages say of an asset."""
    known = connection.execute(select(search_words.c.context).where(search_words.c.asset_id == asset_id)).scalar()
    return msgspec.json.decode(known, type=ContextOfAsset) if known else NO_CONTEXT


def by_words(connection: Connection, user_id: str, query: str, most: int) -> list[str]:
    """Return the ids of the user's assets that have these words, the best first."""
    words = fold(query).split()[:MOST_WORDS]
    if not words:
        return []
    if connection.dialect.name == "sqlite":
        statement, asked = _SQLITE, " AND ".join(f'"{word}"*' for word in words)
    else:
        statement, asked = _POSTGRESQL, " & ".join(f"{word}:*" for word in words)
    found = connection.execute(
        statement.bindparams(bindparam("query"), bindparam("user"), bindparam("most")),
        {"query": asked, "user": user_id, "most": most},
    )
    return list(found.scalars())
