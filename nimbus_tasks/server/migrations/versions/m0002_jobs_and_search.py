"""What jobs, dead letters and search need; on PostgreSQL, a notification of each change of an asset."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OPEN = "failed_at IS NULL AND deleted_at IS NULL"
# With `processed` before it, SQLite takes this index and not assets_state, after which it would have to sort.
_JOB_ORDER = ["processed", sa.text("urgent DESC"), "created_at"]

# A payload that was sent in this transaction already is not sent again.
_NOTIFY = """
CREATE FUNCTION nimbus_asset_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nimbus_assets', NEW.user_id);
    RETURN NULL;
END $$;
CREATE TRIGGER nimbus_asset_changed
AFTER INSERT OR UPDATE OF
    processed, embedded, failed_at, deleted_at, processing_next_retry, embedding_next_retry, urgent
ON assets FOR EACH ROW EXECUTE FUNCTION nimbus_asset_changed();
"""
_FULL_TEXT_POSTGRES = "CREATE INDEX search_text ON search_words USING gin (to_tsvector('simple', words))"
_FULL_TEXT_SQLITE = (
    "CREATE VIRTUAL TABLE search_text USING fts5(words, content = 'search_words', content_rowid = 'number')",
    "CREATE TRIGGER search_added AFTER INSERT ON search_words BEGIN "
    "INSERT INTO search_text(rowid, words) VALUES (new.number, new.words); END",
    "CREATE TRIGGER search_removed AFTER DELETE ON search_words BEGIN "
    "INSERT INTO search_text(search_text, rowid, words) VALUES ('delete', old.number, old.words); END",
    "CREATE TRIGGER search_changed AFTER UPDATE ON search_words BEGIN "
    "INSERT INTO search_text(search_text, rowid, words) VALUES ('delete', old.number, old.words); "
    "INSERT INTO search_text(rowid, words) VALUES (new.number, new.words); END",
)


def upgrade() -> None:
    for column in (
        sa.Column("image_url", sa.Text),
        sa.Column("error_class", sa.Text),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("dismissed_at", sa.BigInteger),
        sa.Column("urgent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("interruptions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("upload_ms", sa.Integer),
        sa.Column("image_ms", sa.Integer),
        sa.Column("embedding_ms", sa.Integer),
    ):
        op.add_column("assets", column)
    op.create_index("assets_newest", "assets", ["created_at"])
    _index(
        "assets_image_jobs", _JOB_ORDER, sqlite=f"processed = 0 AND {_OPEN}", postgresql=f"NOT processed AND {_OPEN}"
    )
    _index(
        "assets_embedding_jobs",
        ["processed", "embedded", *_JOB_ORDER[1:]],
        sqlite=f"processed = 1 AND embedded = 0 AND {_OPEN}",
        postgresql=f"processed AND NOT embedded AND {_OPEN}",
    )
    _index("assets_counts", ["user_id", "processed", "embedded", "failed_at", "deleted_at"], both="deleted_at IS NULL")
    _index("assets_failed", ["user_id", "failed_at"], both="failed_at IS NOT NULL AND deleted_at IS NULL")
    _index("assets_leases", ["lease_owner"], both="lease_owner IS NOT NULL")
    op.create_table(
        "turns",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("taken", sa.Text, nullable=False),
    )
    op.create_table(
        "search_words",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(_NOTIFY)
        op.execute(_FULL_TEXT_POSTGRES)
    else:
        for statement in _FULL_TEXT_SQLITE:
            op.execute(statement)


def _index(name: str, columns: list[object], *, sqlite: str = "", postgresql: str = "", both: str = "") -> None:
    op.create_index(
        name,
        "assets",
        columns,  # type: ignore[arg-type]  # text() is one of them
        sqlite_where=sa.text(sqlite or both),
        postgresql_where=sa.text(postgresql or both),
    )
