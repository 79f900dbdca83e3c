"""The folder that a file was in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table in ("assets", "uploads"):
        op.add_column(table, sa.Column("folder", sa.Text, nullable=False, server_default=""))
