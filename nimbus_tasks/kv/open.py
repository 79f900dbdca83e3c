"""From the settings to the store they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.errors import SettingsError
from nimbus_tasks.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from nimbus_tasks.kv import Store
    from nimbus_tasks.settings import Target

KV_FILE = f"{STATE_FOLDER}/kv.db"


def open_store(root: Path, target: Target) -> Store:
    """Open the store that the settings name.

    Raises:
        SettingsError: this version has no such store.
        StoreError: it cannot be opened.
    """
    if target.store != "sqlite":
        raise SettingsError(
            f"This version publishes to the embedded store only, not to `{target.store}`.",
            f'Set [target] store = "sqlite" in {PROJECT_FILE} (or unset NIMBUS_TARGET).',
        )
    from nimbus_tasks.kv.sqlite import SqliteStore  # noqa: PLC0415 - sqlite3 only where it is used

    return SqliteStore(root / KV_FILE)


def known_identity(root: Path, target: Target) -> str:
    """Return which store the settings name, if that is known without asking or making one; else empty."""
    if target.store != "sqlite" or not (root / KV_FILE).exists():
        return ""
    from nimbus_tasks.kv.sqlite import read_identity  # noqa: PLC0415

    return read_identity(root / KV_FILE)
