"""The first tables: records, assets, uploads, embeddings, buckets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_BYTEWISE = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("key", _BYTEWISE, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("metadata", sa.LargeBinary),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("pathname", sa.Text, nullable=False),
        sa.Column("blob_url", sa.Text, nullable=False),
        sa.Column("thumbnail_url", sa.Text),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("placeholder", sa.Text),
        sa.Column("processed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("embedded", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("processing_error", sa.Text),
        sa.Column("embedding_error", sa.Text),
        sa.Column("processing_retry_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("embedding_retry_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("embedding_next_retry", sa.BigInteger),
        sa.Column("processing_next_retry", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index("assets_state", "assets", ["processed", "embedded", "created_at"])
    op.create_index("assets_page", "assets", ["user_id", "created_at", "id"])
    live = sa.text("deleted_at IS NULL")
    op.create_index(
        "assets_checksum", "assets", ["user_id", "checksum"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_table(
        "uploads",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("pathname", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("upload_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("uploads_expiry", "uploads", ["expires_at"])
    op.create_table(
        "embeddings",
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "model"),
    )
    op.create_table(
        "buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
