"""What a user asks of an upload, whichever command asks it."""

from __future__ import annotations

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import MAPS_FOLDER, MOST_SLOTS


class Request(Struct, frozen=True):
    """What the user asks of an upload.

    limit: at most so many of the changed pages; 0: all.
    batch: the batch to go on with; empty: a new one.
    insist: whether a batch that takes no more pages is an error, and not reason enough for a new one.
    concurrency, delay: requests at a time, and least milliseconds between two of a slot; None: the settings'.
    folder: where the maps are.
    some: these are some pages of the site, and the others stay as they are.
    code_quality, junit: files for a CI to read; empty: none.
    """

    limit: int = 0
    batch: str = ""
    insist: bool = True
    concurrency: int | None = None
    delay: int | None = None
    dry_run: bool = False
    force: bool = False
    folder: str = MAPS_FOLDER
    some: bool = False
    code_quality: str = ""
    junit: str = ""

    @property
    def whole_site(self) -> bool:
        """Whether a page that is not among these is gone."""
        return self.folder == MAPS_FOLDER and not self.some

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            SettingsError: it names the option.
        """
        if self.limit < 0:
            raise SettingsError(f"--limit={self.limit} is less than nothing.", "0 means: all of them.")
        if self.concurrency is not None and not 0 < self.concurrency <= MOST_SLOTS:
            raise SettingsError(f"--concurrency={self.concurrency} must be 1 to {MOST_SLOTS}.")
        if self.delay is not None and self.delay < 0:
            raise SettingsError(f"--delay={self.delay} is less than nothing.", "-1 means: as in the settings.")
