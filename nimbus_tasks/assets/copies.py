"""Copies of pictures: one in fewer bytes that is sent in place of the original, and narrower ones beside it.

The originals stay as they are. What was made of a picture is in the ledger, by the digest of the original, so an
unchanged picture is not encoded again. The copies themselves are in `.nimbus/copies` until the store has them.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
from msgspec import Struct

from nimbus_tasks.assets.asset_file import Content, Made
from nimbus_tasks.backends.concurrency import in_parallel
from nimbus_tasks.project import files
from nimbus_tasks.project.scan import cores, stamp_of
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set

    from nimbus_tasks.assets.asset_file import AssetFile
    from nimbus_tasks.assets.ledger import AssetLedger
    from nimbus_tasks.media.images import ImageWorkers
    from nimbus_tasks.media.values import CopiesWanted, Encoded
    from nimbus_tasks.project.settings import Images

FOLDER = f"{STATE_FOLDER}/copies"
JPEG, PNG, WEBP, AVIF = "image/jpeg", "image/png", "image/webp", "image/avif"
_SUFFIXES = {JPEG: ".jpg", PNG: ".png", WEBP: ".webp", AVIF: ".avif"}
#: Of these, the copy at their own size is usually smaller; of JPEG none is without loss.
_COMPRESSED = {"webp": {JPEG, PNG}, "avif": {JPEG, PNG}, "lossless": {PNG}}
#: Changes when the same picture and settings give other copies, so that they are made anew.
_ENCODER = 1


class Recipe(Struct, frozen=True):
    """Which copies a project wants. compress: of the copy that is sent in place of a picture; empty: none."""

    compress: Literal["", "webp", "avif", "lossless"] = ""
    widths: tuple[int, ...] = ()
    quality: int = 0

    def wanted(self, file: AssetFile) -> CopiesWanted | None:
        """Return which copies of a file there should be; None: it has none."""
        from nimbus_tasks.media.values import CopiesWanted

        kind = file.content_type
        if kind not in _SUFFIXES:
            return None
        whole = kind in _COMPRESSED.get(self.compress, ())
        widths = tuple(width for width in self.widths if not file.width or width < file.width)
        if not whole and not widths:
            return None
        into = (AVIF if self.compress == "avif" else WEBP) if whole else kind
        return CopiesWanted(widths, whole, into, lossless=whole and self.compress == "lossless")

    def name(self, wanted: CopiesWanted) -> str:
        """Return what identifies copies in the ledger."""
        return f"{_ENCODER} {self.quality} {msgspec.json.encode(wanted).decode()}"


class Copied(NamedTuple):
    """Files with their copies. pending: those whose copies are to be made."""

    files: list[AssetFile]
    pending: list[AssetFile]


def with_copies(found: Iterable[AssetFile], recipe: Recipe, ledger: AssetLedger, held: Set[str]) -> Copied:
    """Return the files with the copies that the ledger knows, if the store or this machine has these.

    held: digests of what the store has.
    """
    copied, pending = Copied([], []), set[str]()
    if not (recipe.compress or recipe.widths):
        return Copied(list(found), [])
    known = ledger.made()
    for file in found:
        made, wanted = known.get(file.sha256), recipe.wanted(file)
        if wanted is None:
            copied.files.append(file)
        elif made and made.recipe == recipe.name(wanted) and all(_is_there(each, held) for each in made.contents):
            copied.files.append(msgspec.structs.replace(file, whole=made.whole, narrower=made.narrower))
        else:
            copied.files.append(file)
            if file.sha256 not in pending:
                pending.add(file.sha256)
                copied.pending.append(file)
    return copied


async def make_copies(
    pending: Sequence[AssetFile],
    recipe: Recipe,
    images: Images,
    ledger: AssetLedger,
    warn: Callable[[str], None],
    advance: Callable[[], None],
) -> None:
    """Make copies, and note them in the ledger. warn: is called for pictures that stay without.

    Raises:
        SettingsError: the extra `images` is not installed.
        StateError: a copy cannot be written.
    """
    from nimbus_tasks.media.errors import MediaError
    from nimbus_tasks.media.images import ImageWorkers

    async with ImageWorkers(images) as workers:

        async def one(file: AssetFile) -> None:
            wanted = recipe.wanted(file)
            assert wanted is not None
            made: Made | None = None
            try:
                made = await _make(workers, file, wanted, recipe.name(wanted))
            except MediaError as error:
                warn(f"{file.path} is sent as it is: {error}")
                made = Made(recipe.name(wanted)) if error.permanent else None  # not again for the same bytes
            if made is not None and stamp_of(Path(file.path).lstat()) == file.stamp:
                ledger.note_made(file.sha256, made)
            advance()

        await in_parallel(images.processes or cores(), pending, one)


def file_of(copy: Content) -> Path:
    """Return where the bytes of a copy are on this machine, if they are."""
    return Path(FOLDER, copy.sha256 + _SUFFIXES[copy.content_type])


def name_of(copy: Content, original: str) -> str:
    """Return the name of a copy for people. original: that of the picture."""
    return f"{Path(original).stem}-{copy.width}{_SUFFIXES[copy.content_type]}"


def remove_files() -> None:
    """Remove copies from this machine: the store has them, and the ledger knows what they are."""
    shutil.rmtree(FOLDER, ignore_errors=True)


async def _make(workers: ImageWorkers, file: AssetFile, wanted: CopiesWanted, recipe: str) -> Made:
    """Return the copies of a picture that save bytes: each has fewer than the next larger one."""
    made = await workers.copies(Path(file.path), wanted, file.content_type)
    whole, least = None, file.size
    if made.whole is not None and len(made.whole.data) < least:
        whole, least = _kept(made.whole), len(made.whole.data)
    narrower: list[Content] = []
    for each in reversed(made.narrower):
        if len(each.data) < least:
            narrower.insert(0, _kept(each))
            least = len(each.data)
    return Made(recipe, whole, tuple(narrower))


def _kept(made: Encoded) -> Content:
    copy = Content(hashlib.sha256(made.data).hexdigest(), len(made.data), made.content_type, made.width, made.height)
    files.replace(file_of(copy), made.data)
    return copy


def _is_there(copy: Content, held: Set[str]) -> bool:
    return copy.sha256 in held or file_of(copy).exists()
