"""What is wrong, told once and not at every save, and told again when it is mended. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class News(NamedTuple):
    """What there is to tell: complaints that are new or say something new, and what nobody complains of any more."""

    wrong: dict[str, str]
    mended: tuple[str, ...]


class Complaints:
    """What is wrong now, by what it is about: a file, the settings, the source folder, the upload."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    def become(self, now: Mapping[str, str]) -> News:
        """Take these for all that is wrong now, and return what is new about them."""
        before, self.now = self.now, dict(now)
        wrong = {about: said for about, said in self.now.items() if before.get(about) != said}
        return News(wrong, tuple(about for about in before if about not in self.now))
