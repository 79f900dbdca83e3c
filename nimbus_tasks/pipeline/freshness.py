"""Is there anything to upload? Answered from two small databases, without what an upload needs.

This is all that a run with nothing to do may cost, so it lives apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.backends.kv.open import known_identity
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

if TYPE_CHECKING:
    from nimbus_tasks.project.manifest import Pages
    from nimbus_tasks.project.settings import Settings


def is_published(settings: Settings, pages: Pages) -> bool:
    """Say whether the target is known to hold these pages completely, without asking or making anything."""
    store_identity = known_identity(Path(), settings.target)
    if not store_identity or not Path(LEDGER_FILE).exists():
        return False
    ledger = Ledger(Path(LEDGER_FILE), settings.target.store)
    try:
        return ledger.published == pages.site and ledger.identity == f"{store_identity} {settings.project.id}"
    finally:
        ledger.close()
