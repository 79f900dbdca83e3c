"""The baseline: the files of a site as they were when all of them were stored. Where they still are, nothing is to do.

Looking takes a row for each folder and the status of each file, and reads neither digests nor where files are stored.
The ledger drops the baseline when anything else changes in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.discovery import included_files
from nimbus_tasks.assets.plan import AssetPlan
from nimbus_tasks.pipeline.asset_summary import AssetSummary, summarize
from nimbus_tasks.project import beneath
from nimbus_tasks.project.manifest import split
from nimbus_tasks.project.scan import Entry

if TYPE_CHECKING:
    from nimbus_tasks.assets.copies import Recipe
    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.project.settings import Settings


class Baseline(Struct, frozen=True):
    """What an upload of these files says.

    included: files that the settings name. target: where the records are. day: the ledger has them as used then.
    """

    summary: AssetSummary
    included: int
    target: str
    day: str = ""

    @property
    def plan(self) -> AssetPlan:
        """The plan of an upload of these files: there is nothing to do."""
        return AssetPlan([], frozenset(), [], self.summary.files, self.summary.repeated)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Baseline).decode
_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode


def conditions_of(settings: Settings, identity: str, recipe: Recipe) -> str:
    """Return what decides, besides the files and the target, whether all is stored. identity: of the store."""
    assets = settings.assets
    files = (assets.include, assets.exclude, assets.public_url)
    conditions = (identity, recipe, settings.source, files, settings.project)
    return msgspec.json.encode(conditions).decode()


def baseline_of(found: Discovery, plan: AssetPlan, store: str, target: str, day: str = "") -> Baseline:
    """Return the baseline of files that are all stored. plan: of their upload, or of one that found them stored."""
    nothing = AssetPlan([], frozenset(), [], len(found.files), plan.repeated)
    return Baseline(summarize(store, found, nothing, [], "", None), found.included, target, day)


def save_baseline(ledger: AssetLedger, conditions: str, found: Discovery, baseline: Baseline) -> None:
    """Note that all of these files are stored.

    Nothing is noted where a change could go unnoticed: files are too young for their stamps to tell, or another process
    has written to the ledger since.
    """
    folders: dict[str, list[Entry]] = {}
    for file in found.files:
        folder, name = split(file.path)
        folders.setdefault(folder, []).append((name, *file.stamp))
    with ledger.transaction():
        if found.stable and ledger.version() == found.version:
            ledger.write("DELETE FROM baseline_folder")
            ledger.write(
                "INSERT INTO baseline_folder VALUES (?, ?)", ((at, _encode(some)) for at, some in folders.items())
            )
            ledger.write("DELETE FROM baseline")
            ledger.write("INSERT INTO baseline VALUES (?, ?)", [(conditions, _encode(baseline))])


def find_baseline(ledger: AssetLedger, conditions: str, settings: Settings) -> Baseline | None:
    """Return the baseline if the files of the site are as they were then; None if any may differ."""
    rows = ledger.rows("SELECT value FROM baseline WHERE conditions = ?", conditions)
    if not rows:
        return None
    baseline = _decode(rows[0][0])
    if any(os.path.lexists(each.path) for each in baseline.summary.problems if not each.sent):
        return None
    if not all(_are_there(*row) for row in ledger.each("SELECT path, files FROM baseline_folder")):
        return None
    included = included_files(settings)  # all of before are there, so as many are the same
    return baseline if len(included.files) == baseline.included and not included.skipped else None


def _are_there(folder: str, files: bytes) -> bool:
    """Return whether these files of a folder are as they were."""
    try:
        with beneath.folder(".", folder.split("/") if folder else ()) as at:
            for name, modified, size, changed in _decode_entries(files):
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                if (status.st_mtime_ns, status.st_size, status.st_ctime_ns) != (modified, size, changed):
                    return False
    except OSError:
        return False
    return True
