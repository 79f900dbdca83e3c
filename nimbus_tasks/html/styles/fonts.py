"""How wide texts are: in the fonts that browsers take for `serif`, `sans-serif` and `monospace`.

Widths are those of Times and Arial, and of fonts with equal widths for all letters. Which fonts a visitor has is not
known, and those of the site are not read: a family counts as the first of these kinds that its names tell.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The unit of widths, in parts of the font's size: the widest letter fits a byte.
PARTS = 200


class Family(NamedTuple):
    """Widths by the letter's number in Latin-1; bold: how much wider bold letters are; average: of a letter."""

    widths: bytes
    bold: float
    average: float


def _family(widths: Mapping[int, str], other: int, bold: float, average: float) -> Family:
    table = bytearray([round(other * PARTS / 1000)] * 256)
    for width, letters in widths.items():
        for letter in letters:
            table[ord(letter)] = round(width * PARTS / 1000)
    return Family(bytes(table), bold, average)


SERIF = _family(
    {
        180: "'",
        200: "|",
        250: " ,.\xa0",
        278: "/:;\\ijlt",
        333: "!()-I[]`fr",
        389: "Js",
        408: '"',
        444: "?acezàáâãäåçèéêë",
        470: "^~",
        556: "FPSß",
        564: "+<=>",
        611: "ELTZÈÉÊË",
        667: "BCRÇ",
        722: "ADGHKNOQUVXYwÀÁÂÃÄÅÙÚÛÜ",
        778: "m&",
        833: "%",
        889: "M",
        921: "@",
        944: "W",
        1000: "Æ",
    },
    other=500,
    bold=1.05,
    average=0.39,
)
SANS = _family(
    {
        191: "'",
        222: "ijl",
        260: "|",
        278: " !,./:;I[\\]ft\xa0",
        333: "()-`r{}",
        355: '"',
        389: "*",
        469: "^",
        500: "ckJsvxyzç",
        584: "+<=>~",
        611: "FTZß",
        667: "&ABEKPSVXYÀÁÂÃÄÅÈÉÊË",
        722: "CDHNRUwÇÙÚÛÜ",
        778: "GOQÖ",
        833: "Mm",
        889: "%",
        944: "W",
        1000: "Æ@",
    },
    other=556,
    bold=1.07,
    average=0.43,
)
MONOSPACE = _family({}, other=600, bold=1.0, average=0.6)

_MONOSPACE_NAMES = re.compile(r"mono|courier|consolas|menlo|\bcode\b")
_SANS_NAMES = re.compile(
    r"sans|arial|helvetica|verdana|tahoma|segoe|roboto|system|lucida|trebuchet|calibri|gothic|inter\b|ubuntu|noto|lato"
)
_SERIF_NAMES = re.compile(r"serif|times|georgia|garamond|palatino|cambria|antiqua|charter|slab|roman|bookman|minion")
#: Letters as wide as high: Chinese, Japanese, Korean.
SQUARE = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]")


def family_of(names: str, inherited: Family) -> Family:
    """Return the family that the first known name of a list is of; without one, browsers take theirs: a serif."""
    if names == "inherit":
        return inherited
    for name in names.split(","):
        if _MONOSPACE_NAMES.search(name):
            return MONOSPACE
        if _SANS_NAMES.search(name):
            return SANS
        if _SERIF_NAMES.search(name):
            return SERIF
    return SERIF


@lru_cache(maxsize=4096)  # the pages of a site have their menus in common
def parts_wide(text: str, family: Family) -> int:
    """Return how wide a text is on one line, in parts of the font's size."""
    if family is MONOSPACE and text.isascii():
        return len(text) * (PARTS * 3 // 5)
    width = sum(text.encode("latin-1", "replace").translate(family.widths))
    if not text.isascii():
        width += len(SQUARE.findall(text)) * (PARTS - family.widths[ord("?")])
    return width
