"""The tables of the service's database. `migrations/` brings a database to this form.

Times are epoch milliseconds. A column that may be NULL is NULL where there is nothing to say.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
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

#: One row for each uploaded file; only `assets.py` writes it.
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
)
Index("assets_state", assets.c.processed, assets.c.embedded, assets.c.created_at)
Index("assets_page", assets.c.user_id, assets.c.created_at, assets.c.id)
_LIVE = assets.c.deleted_at.is_(None)
Index("assets_checksum", assets.c.user_id, assets.c.checksum, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)

#: Uploads that were signed and are not completed. method: `PUT` or `multipart`. upload_id: the store's, of parts.
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
    Column("tokens", BigInteger, nullable=False),  # thousandths
    Column("updated", BigInteger, nullable=False),
)
