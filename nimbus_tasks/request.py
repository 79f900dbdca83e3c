"""What a user asks of an upload, whichever command asks it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from nimbus_tasks.errors import SettingsError
from nimbus_tasks.settings import MAPS_FOLDER, MOST_SLOTS


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


def check_reports(code_quality: str, junit: str) -> None:
    """Refuse a file for a report that can be none, before anything is done.

    Raises:
        SettingsError: it names the option.
    """
    for option, path, beginning in (("code-quality", code_quality, b"["), ("junit", junit, b"<?xml")):
        if path and (path.endswith("/") or Path(path).is_dir()):
            raise SettingsError(f"--{option}={path} is a folder.", f"Name a file, such as {path.rstrip('/')}/{option}.")
        if path and not _may_be_written(Path(path), beginning):
            raise SettingsError(f"--{option}={path} is there, and is no such report.", "Name another file.")
    if code_quality and junit and Path(code_quality) == Path(junit):
        raise SettingsError(f"--code-quality and --junit both name {junit}.", "Name two files.")


def _may_be_written(path: Path, beginning: bytes) -> bool:
    """Say whether a report may take this place: nothing is there, or one of an earlier run. A page never is."""
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) in (b"", beginning)
    except OSError:
        return True  # nothing, or what cannot be read, which cannot be written either and will be told then
