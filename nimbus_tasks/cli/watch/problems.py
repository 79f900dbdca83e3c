"""What is wrong during a watch, and what changed about it since the last cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nimbus_tasks.pipeline.asset_summary import AssetSummary
    from nimbus_tasks.publishing.outcome import Outcome


class Problems(Struct):
    """What is wrong with the settings, the source folder, pages, files and the upload. Each stage replaces its part.

    unsent: something is not at the target yet and a retry may help.
    """

    settings: str = ""
    source: str = ""
    pages: dict[str, str] = {}
    files: dict[str, str] = {}
    upload: dict[str, str] = {}
    unsent: bool = False

    def all(self) -> dict[str, str]:
        """Return the messages by what they are about."""
        texts = {PROJECT_FILE: self.settings, "source": self.source}
        texts |= {path: f"{path} - {error}" for path, error in self.pages.items()}
        texts |= self.files
        return {about: text for about, text in (texts | self.upload).items() if text}


class Changes(NamedTuple):
    """Problems that are new or have a new message, and those that are fixed."""

    wrong: dict[str, str]
    fixed: tuple[str, ...]


def compare(before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Return what changed, so that a problem is reported once and not at every save."""
    wrong = {about: text for about, text in now.items() if before.get(about) != text}
    return Changes(wrong, tuple(about for about in before if about not in now))


def asset_problems(done: AssetSummary) -> dict[str, str]:
    """Return what is wrong after an upload of files, by what it is about."""
    texts = {problem.path: f"{problem.path} {problem.reason}" for problem in done.problems}
    texts |= {each.path: f"{each.path} - {each.error}" for each in done.results if each.error}
    return texts | ({"files": f"Stopped: {done.stopped}"} if done.stopped else {})


def upload_problems(outcome: Outcome) -> tuple[dict[str, str], bool]:
    """Return what is wrong after an upload, by what it is about, and whether a retry may help."""
    texts = {}
    for page in outcome.pages:
        if page.result == "failed":
            about = page.map_file or page.path
            texts[about] = f"{about} - {page.error}"
    if outcome.refusal and not outcome.failed:
        # Otherwise it follows from the failed pages: once they are fixed, removed pages are marked.
        texts["removals"] = f"Pages whose source is gone stay as they are: {outcome.refusal}."
    if outcome.stopped:
        texts["upload"] = f"Stopped: {outcome.stopped}"
    return texts, bool(outcome.stopped or outcome.count("failed"))
