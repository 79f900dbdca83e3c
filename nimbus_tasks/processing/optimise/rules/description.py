"""The description of a page, in its own words: whole sentences of its first paragraphs, nothing invented."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from nimbus_tasks.processing.optimise import DESCRIPTION, MAX_DESCRIPTION, MIN_DESCRIPTION
from nimbus_tasks.processing.optimise.rules.edit import Edit
from nimbus_tasks.processing.optimise.rules.language import CLOSE_SET, is_dense, is_foreign, language_of
from nimbus_tasks.processing.optimise.rules.sentences import is_whole, sentences
from nimbus_tasks.processing.optimise.rules.spacing import looks_like_code, manners_of, tidied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nimbus_tasks.model.records import Block
    from nimbus_tasks.processing.optimise import Page

#: What stands further down is not what the page is about.
_PARAGRAPHS_TRIED = 3
_LEAST_WORDS = 6
#: Of the characters of a sentence, so many are letters and blanks; of a list of prices or a formula, fewer.
_LEAST_PROSE = 0.8
#: Of its letters, so many may be capitals; German has one in ten.
_MOST_CAPITALS = 0.3
#: What is said to whoever wants something else of the page: small print, forms, shops, errors, notes of versions.
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
#: A mark apart from its word. What is meant so is no sentence to show.
_LOOSE = re.compile(r"\s[.,](?:\s|$)|\s,\w")
_LOOSE_IN_CLOSE_SET = re.compile(r"\s[!?](?:\s|$)")


def describe_page(page: Page) -> Iterator[Edit]:
    """Yield a description where there is none, or one that is too short to tell or too long to be shown."""
    now = page.head.get(DESCRIPTION, "").strip()
    if MIN_DESCRIPTION <= len(now) <= MAX_DESCRIPTION or is_dense(now, language_of(page)):
        return
    if len(now) > MAX_DESCRIPTION and (shorter := _fitting(sentences(now), page)):
        reason = f"Has {len(now)} characters, about {MAX_DESCRIPTION} are shown: its first sentences fit"
        yield Edit(DESCRIPTION, "description shortened", shorter, reason)
    elif written := next(filter(None, (_fitting(said, page) for said in _beginnings(page))), ""):
        fault = f"Has {len(now)} characters, not {MIN_DESCRIPTION} to {MAX_DESCRIPTION}" if now else "Is missing"
        yield Edit(DESCRIPTION, "description from text", written, f"{fault}: written from the page's own sentences")


def _beginnings(page: Page) -> Iterator[list[str]]:
    """Yield the sentences of the first paragraph and those right behind it, then from the second one on, ..."""
    starts = [place for place, block in enumerate(page.blocks) if block.type == "p"]
    for place in starts[:_PARAGRAPHS_TRIED]:
        # An answer does not stand without its question.
        if place and page.blocks[place - 1].content.rstrip().endswith("?"):
            continue
        behind = page.blocks[place : place + _PARAGRAPHS_TRIED]
        # What stands between two paragraphs, a heading or a list, may have been what the second one speaks of.
        together = takewhile(lambda block: _is_prose(block, page), behind)
        yield [sentence for block in together for sentence in sentences(block.content)]


def _is_prose(block: Block, page: Page) -> bool:
    text = block.content
    return (
        block.type == "p"
        and is_whole(text)
        and not is_foreign(block, page)
        and not looks_like_code(text)
        and len(text.split()) >= _LEAST_WORDS
        and not is_dense(text)
        and _NOT_PROSE.search(text) is None
        and sum(each.isalpha() or each.isspace() for each in text) >= _LEAST_PROSE * len(text)
        and sum(map(str.isupper, text)) <= _MOST_CAPITALS * sum(map(str.isalpha, text))
    )


def _fitting(said: Sequence[str], page: Page) -> str:
    """Return as many whole sentences from the first on as fit, or nothing where they tell too little."""
    manners = manners_of(page)
    fitting = (
        text
        for text in (tidied(text, manners) for text in _beginnings_of(said))
        if _is_description(text, manners.language)
    )
    return max(fitting, key=len, default="")


def _beginnings_of(said: Iterable[str]) -> Iterator[str]:
    text = ""
    for sentence in said:
        text = f"{text} {sentence}".strip()
        yield text


def _is_description(text: str, language: str) -> bool:
    return (
        MIN_DESCRIPTION <= len(text) <= MAX_DESCRIPTION
        and is_whole(text)
        and _LOOSE.search(text) is None
        and not (language in CLOSE_SET and _LOOSE_IN_CLOSE_SET.search(text))
        and not _asks_most(sentences(text))
    )


def _asks_most(said: Sequence[str]) -> bool:
    """Say whether more of it asks than tells, as tables of contents do."""
    return 2 * sum("?" in sentence[-2:] for sentence in said) > len(said)
