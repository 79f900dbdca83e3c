"""All that is wrong in a watch, by what it is about. Each part is replaced when its stage ran. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.publishing.outcome import Outcome


class Wrong(Struct):
    """What is wrong with the settings, the source folder, single pages and the upload; empty where nothing is.

    unsent: something is not at the target that should be, and may be soon: another try is of use.
    """

    settings: str = ""
    source: str = ""
    pages: dict[str, str] = {}
    upload: dict[str, str] = {}
    unsent: bool = False

    def all(self) -> dict[str, str]:
        """Return everything in words, by what it is about."""
        said = {PROJECT_FILE: self.settings, "source": self.source}
        said |= {path: f"{path} - {error}" for path, error in self.pages.items()}
        return {about: text for about, text in (said | self.upload).items() if text}


def of_upload(outcome: Outcome) -> tuple[dict[str, str], bool]:
    """Return what is wrong after an upload, by what it is about, and whether another try is of use."""
    said = {}
    for page in outcome.pages:
        if page.result == "failed":
            about = page.map_file or page.path
            said[about] = f"{about} - {page.error}"
    if outcome.refusal and not outcome.failed:
        # Else it follows from pages that are told of: once they are mended, what is gone is marked.
        said["removals"] = f"Pages whose source is gone stay as they are: {outcome.refusal}."
    if outcome.stopped:
        said["upload"] = f"Stopped: {outcome.stopped}"
    return said, bool(outcome.stopped or outcome.count("failed"))
