"""The tables of the service's database. `migrations/` brings a database to this form.

Times are epoch milliseconds. A column that may be NULL is NULL where there is nothing to say.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    false,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData()

#: Text in the order of its bytes, as SQLite has it.
Bytewise = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

#: What the gateway has in KV: users, keys, sessions. `records_store.py` is its store.
records = Table(
    "records",
    metadata,
    Column("key", Bytewise, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("metadata", LargeBinary),
)

#: One row for each uploaded file. `assets.py` writes it; the steps of jobs: `claims.py`; failures: `dead_letters.py`.
assets = Table(
    "assets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("pathname", Text, nullable=False),
    Column("blob_url", Text, nullable=False),
    Column("thumbnail_url", Text),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("placeholder", Text),
    Column("processed", Boolean, nullable=False, server_default=false()),
    Column("embedded", Boolean, nullable=False, server_default=false()),
    Column("processing_error", Text),
    Column("embedding_error", Text),
    Column("processing_retry_count", Integer, nullable=False, server_default="0"),
    Column("embedding_retry_count", Integer, nullable=False, server_default="0"),
    Column("processing_next_retry", BigInteger),
    Column("embedding_next_retry", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    # Added in 0002. image_url: the main picture, without what a camera says. error_class: of the newest error.
    Column("image_url", Text),
    Column("error_class", Text),
    # failed_at: a dead letter; its step is not tried again unless someone asks. dismissed_at: not to be listed.
    Column("failed_at", BigInteger),
    Column("dismissed_at", BigInteger),
    # urgent: a user asked for another try. interruptions: runs of its steps that ended with their worker.
    Column("urgent", Boolean, nullable=False, server_default=false()),
    Column("interruptions", Integer, nullable=False, server_default="0"),
    # Who works on its next step, and until when nobody else does: `claims.py`.
    Column("lease_owner", Text),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    # Milliseconds from the signed URL to the stored file, and of the runs that made the rest.
    Column("upload_ms", Integer),
    Column("image_ms", Integer),
    Column("embedding_ms", Integer),
    # Added in 0003. The folder that the file was in: `clean_folder` in `storage.py`.
    Column("folder", Text, nullable=False, server_default=""),
)
Index("assets_newest", assets.c.created_at)
Index("assets_state", assets.c.processed, assets.c.embedded, assets.c.created_at)
Index("assets_page", assets.c.user_id, assets.c.created_at, assets.c.id)
_LIVE = assets.c.deleted_at.is_(None)
Index("assets_checksum", assets.c.user_id, assets.c.checksum, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
_OPEN = and_(assets.c.failed_at.is_(None), _LIVE)


def _assets_index(name: str, *columns: ColumnElement[Any] | Column[Any], where: ColumnElement[bool]) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


#: The assets whose next step is an image job, and an embedding job, in the order of the queue.
image_waits = and_(~assets.c.processed, _OPEN)
embedding_waits = and_(assets.c.processed, ~assets.c.embedded, _OPEN)
_queue = (assets.c.urgent.desc(), assets.c.created_at)
_assets_index("assets_image_jobs", assets.c.processed, *_queue, where=image_waits)
_assets_index("assets_embedding_jobs", assets.c.processed, assets.c.embedded, *_queue, where=embedding_waits)
_counted = (assets.c.processed, assets.c.embedded, assets.c.failed_at, assets.c.deleted_at)
_assets_index("assets_counts", assets.c.user_id, *_counted, where=_LIVE)
_assets_index("assets_failed", assets.c.user_id, assets.c.failed_at, where=and_(assets.c.failed_at.is_not(None), _LIVE))
_assets_index("assets_leases", assets.c.lease_owner, where=assets.c.lease_owner.is_not(None))

#: Uploads that were signed and are not completed. method: `PUT`, `POST`, `abandoned`. upload_id: the store's, of parts.
uploads = Table(
    "uploads",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("pathname", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("upload_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("folder", Text, nullable=False, server_default=""),
)
Index("uploads_expiry", uploads.c.expires_at)

#: vector: float32 numbers, little-endian.
embeddings = Table(
    "embeddings",
    metadata,
    Column("asset_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    PrimaryKeyConstraint("asset_id", "model"),
)

#: Token buckets that several processes share. updated: epoch milliseconds at which `tokens` was right.
buckets = Table(
    "buckets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tokens", BigInteger, nullable=False),  # in parts: `rate_limit.py`
    Column("updated", BigInteger, nullable=False),
)

#: When something that is limited in a period was done last, by any process. taken: a JSON list of epoch milliseconds.
turns = Table(
    "turns",
    metadata,
    Column("name", Text, primary_key=True),
    Column("taken", Text, nullable=False),
)

#: What assets are found by. context: what pages say of it, JSON. words: those and the file name, folded.
#: The full-text indexes over `words`, named search_text, are the migration's: each database has its own kind.
search_words = Table(
    "search_words",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("asset_id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("words", Text, nullable=False),
)
