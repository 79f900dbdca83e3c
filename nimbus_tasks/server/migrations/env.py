"""What alembic runs: the migrations, on the connection and in the transaction that `database.py` has opened."""

from __future__ import annotations

from alembic import context

from nimbus_tasks.server.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
