"""A page's description in its own words: whole sentences of its first paragraphs, nothing invented."""

from __future__ import annotations

import re
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from nimbus_tasks.processing.optimise import DESCRIPTION, MAX_DESCRIPTION, MIN_DESCRIPTION
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import (
    CLOSE_SET,
    CLOSING,
    ENDING,
    is_dense,
    is_foreign,
    language_of,
)
from nimbus_tasks.processing.optimise.rules.spacing import looks_like_code, style_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.model.page_map import Block
    from nimbus_tasks.processing.optimise import Page

#: Later paragraphs are not what the page is about.
_PARAGRAPHS_TRIED = 3
_LEAST_WORDS = 6
#: The least share of letters and blanks in prose; price lists and formulas have fewer.
_LEAST_PROSE = 0.8
#: The highest share of capitals among letters; German has one in ten.
_MOST_CAPITALS = 0.3
#: Small print, forms, shops, error pages, version notes.
_NOT_PROSE = re.compile(
    r"""
    ^\W*(?:\(c\)|copyright\b|sorry\b|see\ also\b|siehe\ auch\b|please\ (?:enter|log|sign)\b)
    | ^(?:deprecated\ since|(?:new|added|changed)\ in)\ version\b
    | ^[^\w$\u20ac\u00a3\u00a5]*(?:[$\u20ac\u00a3\u00a5\u00a9]|(?:chf|eur|gbp|usd)\b|\d+[.,]\d\d\b)
    | ://|@|\bwww\.
    | \b(?:cookies?|javascript|passwor[dt]s?|click\ here|hier\ klicken|klicken\ sie\ hier)\b
    | \b(?:in\ stock|auf\ lager|add\ to\ (?:basket|cart)|warenkorb)\b
    | \bnot\ find\ th\w+\ page\b|\bpage\ (?:\w+\ ){0,6}(?:can)?not\ (?:be\ )?found\b
    | \bseite\ (?:\w+\ ){0,6}nicht\ gefunden\b
    # A postal address: street and number, or a post code before a town.
    | (?:stra(?:\u00df|ss)e|str\.|platz|weg|gasse|allee)\ \d+[a-z]?\b
    | \b\d{5}\ (?-i:[A-Z\u00c4\u00d6\u00dc])\w+
    | \b(?-i:[A-Z]{1,2}\d[A-Z\d]?\ \d[A-Z]{2})\b
    | \b(?:handelsregister|angaben\ gem\u00e4\u00df|(?:tel|telefon|phone|fax)\s*[.:])
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: A mark apart from its word: if it is meant so, this is no sentence to show.
_LOOSE = re.compile(r"\s[.,](?:\s|$)|\s,\w")
_LOOSE_IN_CLOSE_SET = re.compile(r"\s[!?](?:\s|$)")


def describe_page(page: Page) -> Iterator[Edit]:
    """Yield a description where it is missing, too short or too long."""
    now = page.head.get(DESCRIPTION, "").strip()
    if MIN_DESCRIPTION <= len(now) <= MAX_DESCRIPTION or is_dense(now, language_of(page)):
        return
    if len(now) > MAX_DESCRIPTION and (shorter := _fitting(sentences(now), page)):
        reason = f"Has {len(now)} characters, about {MAX_DESCRIPTION} are shown: its first sentences fit"
        yield Edit(DESCRIPTION, "description shortened", shorter, reason)
    elif written := next(filter(None, (_fitting(sentences, page) for sentences in _beginnings(page))), ""):
        fault = f"Has {len(now)} characters, not {MIN_DESCRIPTION} to {MAX_DESCRIPTION}" if now else "Is missing"
        yield Edit(DESCRIPTION, "description from text", written, f"{fault}: written from the page's own sentences")


def _beginnings(page: Page) -> Iterator[list[str]]:
    """Yield the sentences of the first paragraph and the ones right after it, then those from the second on, ..."""
    starts = [place for place, block in enumerate(page.blocks) if block.type == "p"]
    for place in starts[:_PARAGRAPHS_TRIED]:
        # An answer makes no sense without its question.
        if place and page.blocks[place - 1].content.rstrip().endswith("?"):
            continue
        behind = page.blocks[place : place + _PARAGRAPHS_TRIED]
        # Stop at a heading or list: the paragraph after it may refer to it.
        prose = takewhile(lambda block: _is_prose(block, page), behind)
        yield [sentence for block in prose for sentence in sentences(block.content)]


def _is_prose(block: Block, page: Page) -> bool:
    text = block.content
    return (
        block.type == "p"
        and is_whole(text)
        and not is_foreign(block, page)
        and not looks_like_code(text)
        and not is_dense(text)
        and _NOT_PROSE.search(text) is None
        and _is_mostly_letters(text)
    )


def _is_mostly_letters(text: str) -> bool:
    """Return whether a text has enough words, of letters in lower case."""
    words = text.split()
    # `map` takes a third of the time that a generator takes for each character.
    letters, signs = sum(map(str.isalpha, text)), sum(map(len, words))
    return (
        len(words) >= _LEAST_WORDS
        and letters + len(text) - signs >= _LEAST_PROSE * len(text)
        and sum(map(str.isupper, text)) <= _MOST_CAPITALS * letters
    )


def _fitting(sentences: Sequence[str], page: Page) -> str:
    """Return the most sentences, from the first on, that fit; an empty string if they say too little."""
    style = style_of(page)
    beginnings = accumulate(sentences, lambda text, sentence: f"{text} {sentence}")
    # Tidying all beginnings of a long text would take quadratic time, and it shortens none to half.
    short = takewhile(lambda text: len(text) <= 2 * MAX_DESCRIPTION, beginnings)
    texts = (tidied(text, style) for text in short)
    return max((text for text in texts if _is_description(text, style.language)), key=len, default="")


def _is_description(text: str, language: str) -> bool:
    return (
        MIN_DESCRIPTION <= len(text) <= MAX_DESCRIPTION
        and is_whole(text)
        and _LOOSE.search(text) is None
        and not (language in CLOSE_SET and _LOOSE_IN_CLOSE_SET.search(text))
        and not _is_mostly_questions(sentences(text))
    )


def _is_mostly_questions(sentences: Sequence[str]) -> bool:
    """Return whether most sentences are questions, as in a table of contents."""
    return 2 * sum("?" in sentence[-2:] for sentence in sentences) > len(sentences)


# --- sentences ----------------------------------------------------------------------------------------

#: A possible end: its marks, closing quotes and brackets, and a blank.
_MAYBE_END = re.compile(rf"(?<![{ENDING}])[{ENDING}]++[{CLOSING}]*+(?=\s)")
_CLOSING = CLOSING.replace("\\", "")
_ENDS = re.compile(rf"[{ENDING}][{CLOSING}]*$")
_FIRST_CHARACTER = re.compile(r"[^\W_]")
#: A longer last word is no abbreviation, in characters.
_LONGEST_END = 50

#: Abbreviations in a few languages. Single letters and numbers do not end a sentence either.
_SHORTENED = frozenset(
    {
        *("abb", "approx", "art", "bd", "bzw", "ca", "cf", "ch", "chap", "co", "corp", "dept", "dipl", "dr", "ed"),
        *("eds", "eg", "engl", "etc", "evtl", "fig", "figs", "ggf", "gen", "hr", "inc", "incl", "inkl", "ing"),
        *("ie", "jr", "jun", "lt", "ltd", "max", "mio", "min", "mr", "mrs", "ms", "mt", "nr", "no", "nos", "num"),
        *("op", "pag", "par", "pp", "prof", "resp", "rev", "sec", "sen", "sog", "sr", "st", "str", "tel", "univ"),
        *("usw", "vgl", "vol", "vols", "vs", "zzgl"),
    }
)
_PAIRS = (("(", ")"), ("[", "]"), ("\u00ab", "\u00bb"))
_LOW_QUOTE, _LEFT_QUOTE, _RIGHT_QUOTE = "\u201e\u201c\u201d"


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, any rest as the last. Where an end is uncertain, the sentence continues."""
    found = []
    start = 0
    first = _FIRST_CHARACTER.search(text)
    for match in _MAYBE_END.finditer(text):
        end = match.end()
        if first is not None and first.start() < end:
            first = _FIRST_CHARACTER.search(text, end)
        if first is None:
            break
        if not first[0].islower() and _is_end(text[max(start, end - _LONGEST_END) : end]):
            found.append(text[start:end].strip())
            start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def is_whole(text: str) -> bool:
    """Return whether a text ends as a sentence does, with all quotes and brackets closed."""
    return (
        _ENDS.search(text) is not None
        and all(text.count(left) == text.count(right) for left, right in _PAIRS)
        and text.count('"') % 2 == 0
        and _closes_quotes(text)
    )


def _closes_quotes(text: str) -> bool:
    low, left, right = map(text.count, (_LOW_QUOTE, _LEFT_QUOTE, _RIGHT_QUOTE))
    # The left quote opens in English and closes in German.
    return low == left + right if low else left == right


def _is_end(text: str) -> bool:
    """Return whether a text that stops at a possible end ends a sentence there."""
    stripped = text.rstrip(_CLOSING)
    if not stripped.endswith("."):
        return True
    # "e.g." and "z. B." end in a single letter, "3. Mai" in a number.
    word = stripped.split()[-1].rstrip(".").rpartition(".")[2].lstrip("(").casefold()
    return not (len(word) == 1 or word in _SHORTENED or word.isdigit())
