"""What an upload of files is asked for, and which copies of pictures that means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.assets.copies import Recipe
from nimbus_tasks.model.assets import pointer_key
from nimbus_tasks.model.errors import SettingsError

if TYPE_CHECKING:
    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.project.settings import Settings


class AssetRequest(Struct, frozen=True):
    """What an upload of files is asked for.

    force: send unchanged files too. dry_run: only plan and count.
    group, variant: of the pointer that names the file afterwards; empty: none. metadata: kept with the pointer.
    delete_local: delete files that are stored and recorded, and named by the pointer where there is one.
    compress: send smaller copies of pictures, also where the settings do not say so.
    """

    force: bool = False
    dry_run: bool = False
    group: str = ""
    variant: str = ""
    metadata: dict[str, str] = {}
    delete_local: bool = False
    compress: bool = False

    def check(self, found: Discovery) -> None:
        """Check the pointer.

        Raises:
            SettingsError: its name is invalid, several files would get it, or an empty one.
        """
        if self.compress and self.delete_local:
            raise SettingsError(
                "--compress and --delete-local are mutually exclusive.", "The original would be nowhere any more."
            )
        if not (self.group or self.variant):
            return
        pointer_key(self.group, self.variant)
        if len(found.files) + found.failed > 1:
            raise SettingsError(
                "A pointer names one file.", "Name one with --files, or leave out --group and --variant."
            )
        if empty := [file.path for file in found.files if not file.size]:
            raise SettingsError(f"{empty[0]} is empty: no pointer names it, and nothing was uploaded.")


def recipe_of(settings: Settings, request: AssetRequest = AssetRequest()) -> Recipe:
    """Return which copies of pictures are made. Files that are deleted here are sent as they are.

    Our own service gets no narrower copies: each would be a picture of its own there, beside its own thumbnails.
    """
    assets = settings.assets
    compress = assets.compress or ("webp" if request.compress else "")
    widths = () if assets.store == "server" else assets.widths
    return Recipe("" if request.delete_local else compress, widths, settings.images.quality)
