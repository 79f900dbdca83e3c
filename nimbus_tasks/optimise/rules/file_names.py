"""What the name of an image file says about the picture, in words; nothing where a camera or a program named it."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from nimbus_tasks.optimise.rules.marks import APOSTROPHES, TIMES

#: Names that cameras, programs and templates give: they say what kind of file it is, not what is to be seen.
_EMPTY_WORDS = frozenset(
    {
        *("avatar", "background", "banner", "bg", "bild", "btn", "button", "capture", "copy", "cover", "cropped"),
        *("default", "dsc", "dscf", "dscn", "edited", "file", "final", "fullsize", "header", "hero", "hires"),
        *("icon", "image", "images", "img", "large", "lowres", "main", "medium", "min", "new", "old", "optimized"),
        *("orig", "original", "photo", "photos", "pic", "picture", "placeholder", "preview", "scaled", "screen"),
        *("screenshot", "shutterstock", "slide", "slider", "small", "spacer", "stock", "thumb", "thumbnail", "tmp"),
        *("unnamed", "untitled", "upload", "version", "web", "whatsapp", "www"),
    }
)
_EXTENSION = re.compile(r"(?:\.(?:avif|bmp|gif|heic|ico|jfif|jpe?g|png|svg|tiff?|webp))+$", re.IGNORECASE)
# Before words are told apart, as their signs would be lost: 800x600, @2x.
_SIZE = re.compile(rf"@\d+(?:\.\d+)?x|(?<![^\W_])\d+\s*[{TIMES}]\s*\d+(?![^\W_])", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")
_BETWEEN = re.compile(rf"[^\w{APOSTROPHES}]|_")
_WORD = re.compile(rf"[^\W\d_]+(?:[{APOSTROPHES}][^\W\d_]+)*")
#: y sounds like one often enough: `gym`, `sky`. Words in other scripts are taken as they are.
_VOWEL_OR_OTHER = re.compile(r"[aeiouyAEIOUY]|[^\x00-\x7f]")
#: A name of so many letters without a vowel, or of one word longer than any, was made by a program.
_LONGEST_SHORT = 4
_LONGEST_WORD = 24


def words_of(src: str) -> list[str]:
    """Return the words that an image's address says about it; none where it says nothing."""
    try:
        path = unquote(urlsplit(src).path) if not src.lstrip().lower().startswith("data:") else ""
    except ValueError:
        return []
    name = _EXTENSION.sub("", path.rpartition("/")[2])
    parts = _BETWEEN.split(_HUMP.sub(" ", _SIZE.sub(" ", name)))
    words = [part for part in parts if _is_word(part)]
    # Single letters and `to` are words beside others, and nothing alone.
    return words if any(len(word) > 2 for word in words) else []


def _is_word(part: str) -> bool:
    """Say whether it is a word; what has digits in it is a number, a size or a hash."""
    return (
        _WORD.fullmatch(part) is not None
        and part.lower() not in _EMPTY_WORDS
        and len(part) <= _LONGEST_WORD
        and (len(part) <= _LONGEST_SHORT or _VOWEL_OR_OTHER.search(part) is not None)
    )
