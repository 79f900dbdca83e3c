"""A file of a site as it was read, its copies, and the pages that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from nimbus_tasks.project.scan import Stamp


class Content(Struct, frozen=True, gc=False):
    """Bytes that are stored: those of a file, or of a copy of a picture. width, height: its pixels, otherwise 0."""

    sha256: str
    size: int
    content_type: str
    width: int = 0
    height: int = 0


class Made(Struct, frozen=True, omit_defaults=True, gc=False):
    """What was made of a picture. recipe: identifies how. whole: is sent in its place. narrower: smallest first."""

    recipe: str
    whole: Content | None = None
    narrower: tuple[Content, ...] = ()

    @property
    def contents(self) -> tuple[Content, ...]:
        return self.narrower if self.whole is None else (self.whole, *self.narrower)


class AssetFile(Struct, frozen=True, gc=False):
    """A file that was read.

    path: from the project, with `/`. sha256: of its bytes. width, height: pixels of a picture, otherwise 0.
    whole: the copy that is sent in its place; None: it is sent itself. narrower: copies that are sent with it.
    """

    path: str
    stamp: Stamp
    sha256: str
    content_type: str
    width: int = 0
    height: int = 0
    whole: Content | None = None
    narrower: tuple[Content, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp[1]

    @property
    def sent(self) -> Content:
        """What is uploaded as this file."""
        return self.whole or Content(self.sha256, self.size, self.content_type, self.width, self.height)

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of all that is uploaded of it."""
        return (self.sent.sha256, *(copy.sha256 for copy in self.narrower))


class MappedPage(NamedTuple):
    """A page as its map has it. url: its path on the site."""

    source_path: str
    url: str
    title: str


class Uses(NamedTuple):
    """The files that a page refers to, by path, with their alt texts there. map_file, stamp: of its map."""

    map_file: str
    stamp: Stamp
    page: MappedPage
    files: dict[str, list[str]]
