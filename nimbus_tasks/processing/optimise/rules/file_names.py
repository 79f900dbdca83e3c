"""The words in an image's file name, spelled as the page spells them. None if a camera or program named the file."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import dropwhile
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from nimbus_tasks.processing.optimise import HEADINGS, TITLE
from nimbus_tasks.processing.optimise.rules.language import APOSTROPHES, ENDING, OPENING, TIMES, language_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nimbus_tasks.processing.optimise import Page

#: Written by cameras and programs: dropped anywhere in a name.
_NOISE = frozenset(
    {
        *("bg", "btn", "dji", "dsc", "dscf", "dscn", "fullsize", "gopr", "hires", "img", "lowres", "mvi", "optimized"),
        *("orig", "pxl", "scaled", "tmp", "unnamed", "vid", "www"),
    }
)
#: Names of a place on the page, from templates.
_PLACES = frozenset(
    {
        *("avatar", "background", "banner", "cropped", "header", "hero", "icon", "placeholder", "slider", "spacer"),
        *("thumb", "thumbnail"),
    }
)
#: Suffixes that tell two files apart. Before other words they mean something: new-york.
_VERSIONS = frozenset(
    {
        *("bild", "copy", "default", "edited", "final", "foto", "grafik", "image", "images", "large", "main"),
        *("medium", "min", "new", "old", "original", "photo", "photos", "pic", "picture", "preview", "small"),
        "version",
    }
)
#: Meaningful beside other words, but not alone.
_ALONE = frozenset(
    {
        *("arrow", "button", "capture", "chart", "cover", "file", "left", "logo", "map", "right", "scan", "screen"),
        *("slide", "stock", "upload", "web"),
    }
)
_BEFORE = _PLACES
_BEHIND = _PLACES | _VERSIONS
_EMPTY = _BEHIND | _ALONE
#: Names that tell who sold a picture or when it was taken, never what it shows.
_NO_NAME = re.compile(
    r"(?<![^\W\d_])(?:adobe[ _-]?stock|bildschirm(?:aufnahme|foto)|depositphotos|gettyimages|istock(?:photo)?|pexels|"
    r"screen[ _-]?shot|shutterstock|unbenannt|unsplash|untitled|whatsapp)(?![^\W\d_])",
    re.IGNORECASE,
)

_EXTENSION = re.compile(r"(?:\.(?:avif|bmp|gif|heic|ico|jfif|jpe?g|png|svg|tiff?|webp))+$", re.IGNORECASE)
# Removed before splitting into words, which would break them up: 800x600, @2x.
_SIZE = re.compile(rf"@\d+(?:\.\d+)?x|(?<![^\W_])\d+\s*[{TIMES}]\s*\d+(?![^\W_])", re.IGNORECASE)
#: After two lower-case letters only: `iPhone` and `McQueen` are one word.
_HUMP = re.compile(r"(?<=[a-zß-öø-ÿ]{2})(?=[A-ZÀ-ÖØ-Þ])")
_BETWEEN = re.compile(rf"[^\w{APOSTROPHES}]|_")
_WORD = re.compile(rf"[^\W\d_]+(?:[{APOSTROPHES}][^\W\d_]+)*")
#: Kept between two words: boeing-747-landing. Longer numbers are years and counters.
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
#: `y` counts, as in `gym`. Words in other scripts always pass.
_VOWEL_OR_OTHER = re.compile(r"[aeiouyAEIOUY]|[^\x00-\x7f]")
#: A longer word without a vowel, or one longer than any real word, comes from a program.
_LONGEST_SHORT = 4
_LONGEST_WORD = 24
#: No file system has longer names.
_LONGEST_NAME = 255


def words_of(src: str) -> list[str]:
    """Return the words and numbers in an image's address that describe it, or none."""
    try:
        path = unquote(urlsplit(src).path) if not src.lstrip().lower().startswith("data:") else ""
    except ValueError:
        return []
    file = path.rpartition("/")[2]
    if len(file) > _LONGEST_NAME:
        return []
    # Some systems write an umlaut as two code points.
    name = normalize("NFC", _EXTENSION.sub("", file))
    if _NO_NAME.search(name):
        return []
    words = _without_edges(_BETWEEN.split(_HUMP.sub(" ", _SIZE.sub(" ", name))))
    # Single letters and `to` count beside longer words only.
    return words if any(len(word) > 2 and _is_meaningful(word) for word in words) else []


def _without_edges(parts: list[str]) -> list[str]:
    """Return the words, and the numbers between words, without meaningless prefixes and suffixes."""
    kept = [part for place, part in enumerate(parts) if _is_word(part) or _is_between_words(parts, place)]
    kept = list(dropwhile(_is_one_of(_BEFORE), kept))
    return list(dropwhile(_is_one_of(_BEHIND), reversed(kept)))[::-1]


def _is_one_of(empty: frozenset[str]) -> Callable[[str], bool]:
    """Return a test for these words and for numbers, which count files."""
    return lambda word: word.lower() in empty or word.isdigit()


def _is_between_words(parts: list[str], place: int) -> bool:
    beside = parts[max(0, place - 1) : place] + parts[place + 1 : place + 2]
    return _NUMBER.fullmatch(parts[place]) is not None and len(beside) == 2 and all(map(_is_word, beside))


def _is_word(part: str) -> bool:
    """Return whether this is a word. With digits in it, it is a size or a hash."""
    return (
        _WORD.fullmatch(part) is not None
        and part.lower() not in _NOISE
        and len(part) <= _LONGEST_WORD
        and (len(part) <= _LONGEST_SHORT or _VOWEL_OR_OTHER.search(part) is not None)
    )


def _is_meaningful(word: str) -> bool:
    return word.lower() not in _EMPTY and not word.isdigit()


# --- spelling -----------------------------------------------------------------------------------------

_LETTERS = re.compile(r"[^\W\d_]+")
#: Precedes a word that starts a text or a sentence, and so has a capital.
_START = re.compile(rf"(?:^|[{ENDING}:]\S?\s)\s*[{OPENING}]*$")
#: Characters before a word that are examined.
_CONTEXT = 6
#: As file names spell them.
_UMLAUTS = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue"})


class Spelling(Struct, frozen=True):
    """Words of a page by their letters, ignoring case and umlauts.

    inner: as spelled within sentences. first: as spelled at the start of one.
    language: German nouns have capitals, so a German word that the page lacks cannot be spelled.
    """

    inner: dict[str, str]
    first: dict[str, str]
    language: str


def spelling_of(page: Page, words: Iterable[str]) -> Spelling:
    """Return how the page spells these words, names above all."""
    inner: dict[str, str] = {}
    first: dict[str, str] = {}
    wanted = set(map(_key, words))
    for text in _texts(page):
        # Few texts have one of the words: a third of the time of all rules went into looking at each word.
        if wanted.isdisjoint(map(_key, _LETTERS.findall(text))) or text.isupper():
            continue
        for match in _LETTERS.finditer(text):
            word, letters = match[0], _key(match[0])
            if letters not in wanted:
                continue
            if _starts(text, match.start()) and not _has_inner_capital(word):
                first.setdefault(letters, word)
            # A capital suggests a name, unless the page also has the word without one.
            elif word.islower() or letters not in inner:
                inner[letters] = word
    return Spelling(inner, first, language_of(page))


def spelled(words: Sequence[str], spelling: Spelling) -> str:
    """Return the words as the page spells them, with a first capital; an empty string if a spelling is unknown."""
    if spelling.language == "de":
        first, *others = words
        as_spelled = [
            spelling.inner.get(_key(first)) or spelling.first.get(_key(first), ""),
            *(_in_german(word, spelling.inner) for word in others),
        ]
        if not all(as_spelled):
            return ""
    else:
        # Capitals in a file name are intended, unless every word is in capitals.
        shouted = all(map(str.isupper, filter(str.isalpha, words)))
        as_spelled = [spelling.inner.get(_key(word), word.lower() if shouted else word) for word in words]
    text = " ".join(as_spelled)
    # A name such as iPhone keeps its small first letter.
    return text if _has_inner_capital(as_spelled[0]) else text[0].upper() + text[1:]


def _in_german(word: str, inner: dict[str, str]) -> str:
    return word if word.isdigit() else inner.get(_key(word), "")


def _texts(page: Page) -> Iterator[str]:
    yield page.head.get(TITLE, "")
    yield from (block.content for block in page.blocks if block.type in HEADINGS)
    yield from (block.content for block in page.blocks if block.type == "p")


def _starts(text: str, place: int) -> bool:
    # Most words follow a longer word and a blank: half the time of `rules` went into the pattern for these.
    if place > 2 and text[place - 1] == " " and text[place - 2].isalnum() and text[place - 3].isalnum():
        return False
    # A slice from the middle must not look like the start of the text.
    before = text[max(0, place - _CONTEXT) : place]
    return _START.search(before if place <= _CONTEXT else f"-{before}") is not None


def _has_inner_capital(word: str) -> bool:
    """Return whether a word has a capital inside, as in iPhone. Words all in capitals do not count."""
    return not word.isupper() and not word[1:].islower() and len(word) > 1


@lru_cache(maxsize=10_000)  # pages of one site share most of their words
def _key(word: str) -> str:
    return word.casefold().translate(_UMLAUTS)
