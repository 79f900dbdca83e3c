"""Pages into which `apply --assets` has put public addresses are read with the addresses that they had before."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.changes import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.project.settings import Settings

#: Returns what was replaced in a file of the source folder.
FindReplaced = Callable[[str], Sequence[Replaced]]


@contextlib.contextmanager
def find_replaced(settings: Settings) -> Iterator[FindReplaced]:
    """Yield a function that returns the addresses that were replaced in a page.

    Raises:
        StateError: the ledger of files cannot be used.
    """
    if settings.assets.store:
        from nimbus_tasks.assets.ledger import ASSETS_FILE, AssetLedger

        if Path(ASSETS_FILE).exists():
            with AssetLedger() as ledger:
                yield ledger.replaced
            return
    yield lambda _: ()


def as_before(html: bytes, replaced: Sequence[Replaced]) -> bytes:
    """Return a page with the addresses that it had before."""
    if not replaced:
        return html
    from nimbus_tasks.html.apply.file_addresses import restore_addresses

    return restore_addresses(html, replaced)
