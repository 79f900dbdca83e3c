"""What the name of an image file says about the picture, in words; nothing where a camera or a program named it."""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from nimbus_tasks.processing.optimise.rules.marks import APOSTROPHES, TIMES

if TYPE_CHECKING:
    from collections.abc import Callable

#: What cameras and programs write into names: it is a word of no picture, wherever it stands.
_SIGNS = frozenset(
    {
        *("bg", "btn", "dji", "dsc", "dscf", "dscn", "fullsize", "gopr", "hires", "img", "lowres", "mvi", "optimized"),
        *("orig", "pxl", "scaled", "tmp", "unnamed", "vid", "www"),
    }
)
#: What templates name a picture by: its place on the page.
_PLACES = frozenset(
    {
        *("avatar", "background", "banner", "cropped", "header", "hero", "icon", "placeholder", "slider", "spacer"),
        *("thumb", "thumbnail"),
    }
)
#: What people write behind a name, to tell two files apart. Before other words it means something: new-york.
_VERSIONS = frozenset(
    {
        *("bild", "copy", "default", "edited", "final", "foto", "grafik", "image", "images", "large", "main"),
        *("medium", "min", "new", "old", "original", "photo", "photos", "pic", "picture", "preview", "small"),
        "version",
    }
)
#: Beside other words these mean something, alone they say nothing.
_ALONE = frozenset(
    {
        *("arrow", "button", "capture", "chart", "cover", "file", "left", "logo", "map", "right", "scan", "screen"),
        *("slide", "stock", "upload", "web"),
    }
)
_BEFORE = _PLACES
_BEHIND = _PLACES | _VERSIONS
_EMPTY = _BEHIND | _ALONE
#: Names that say who sold a picture, or when it was taken, and never what is to be seen.
_NO_NAME = re.compile(
    r"(?<![^\W\d_])(?:adobe[ _-]?stock|bildschirm(?:aufnahme|foto)|depositphotos|gettyimages|istock(?:photo)?|pexels|"
    r"screen[ _-]?shot|shutterstock|unbenannt|unsplash|untitled|whatsapp)(?![^\W\d_])",
    re.IGNORECASE,
)

_EXTENSION = re.compile(r"(?:\.(?:avif|bmp|gif|heic|ico|jfif|jpe?g|png|svg|tiff?|webp))+$", re.IGNORECASE)
# Before words are told apart, as their signs would be lost: 800x600, @2x.
_SIZE = re.compile(rf"@\d+(?:\.\d+)?x|(?<![^\W_])\d+\s*[{TIMES}]\s*\d+(?![^\W_])", re.IGNORECASE)
#: Behind two small letters: `iPhone` and `McQueen` are one word.
_HUMP = re.compile(r"(?<=[a-zß-öø-ÿ]{2})(?=[A-ZÀ-ÖØ-Þ])")
_BETWEEN = re.compile(rf"[^\w{APOSTROPHES}]|_")
_WORD = re.compile(rf"[^\W\d_]+(?:[{APOSTROPHES}][^\W\d_]+)*")
#: Between two words it belongs to them: boeing-747-landing. Longer ones are years and counters.
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
#: y sounds like one often enough: `gym`, `sky`. Words in other scripts are taken as they are.
_VOWEL_OR_OTHER = re.compile(r"[aeiouyAEIOUY]|[^\x00-\x7f]")
#: A name of so many letters without a vowel, or of one word longer than any, was made by a program.
_LONGEST_SHORT = 4
_LONGEST_WORD = 24


def words_of(src: str) -> list[str]:
    """Return the words that an image's address says about it, numbers among them; none where it says nothing."""
    try:
        path = unquote(urlsplit(src).path) if not src.lstrip().lower().startswith("data:") else ""
    except ValueError:
        return []
    # Some systems write an umlaut as two signs.
    name = normalize("NFC", _EXTENSION.sub("", path.rpartition("/")[2]))
    if _NO_NAME.search(name):
        return []
    words = _without_edges(_BETWEEN.split(_HUMP.sub(" ", _SIZE.sub(" ", name))))
    # Single letters and `to` are words beside others, and nothing alone.
    return words if any(len(word) > 2 and _is_telling(word) for word in words) else []


def _without_edges(parts: list[str]) -> list[str]:
    """Return the words and the numbers between them, without what files of any picture begin or end with."""
    kept = [part for place, part in enumerate(parts) if _is_word(part) or _is_between_words(parts, place)]
    kept = list(dropwhile(_is_one_of(_BEFORE), kept))
    return list(dropwhile(_is_one_of(_BEHIND), reversed(kept)))[::-1]


def _is_one_of(empty: frozenset[str]) -> Callable[[str], bool]:
    """Say of a word whether it is one of these, or a number that counts files."""
    return lambda word: word.lower() in empty or word.isdigit()


def _is_between_words(parts: list[str], place: int) -> bool:
    beside = parts[max(0, place - 1) : place] + parts[place + 1 : place + 2]
    return _NUMBER.fullmatch(parts[place]) is not None and len(beside) == 2 and all(map(_is_word, beside))


def _is_word(part: str) -> bool:
    """Say whether it is a word; what has other digits in it is a size or a hash."""
    return (
        _WORD.fullmatch(part) is not None
        and part.lower() not in _SIGNS
        and len(part) <= _LONGEST_WORD
        and (len(part) <= _LONGEST_SHORT or _VOWEL_OR_OTHER.search(part) is not None)
    )


def _is_telling(word: str) -> bool:
    return word.lower() not in _EMPTY and not word.isdigit()
