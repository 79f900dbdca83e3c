"""Changes as a writer makes them, drawn at random: a word replaced, put in, misspelt, a sentence more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from apply_kit import Change, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from nimbus_tasks.model.page_map import Block, PageMap

WORDS = [
    "clear",
    "precise",
    "“quality”",
    "A&B",
    "x<y",
    "café",
    "時計",
    "done,",
    "now!",
    "(new)",
    "and",
    '"for"',
    "it's",
]
#: What a writer does to a text. The last two often take all words of an inline element away.
KINDS = ("replace", "insert", "append", "spelling")
BOLD_KINDS = ("delete", "rewrite")


def random_changes(random: Random, page: PageMap, blocks: list[Block], kinds: tuple[str, ...]) -> Iterator[Change]:
    """Yield a change of each block, and now and then of the head."""
    for block in blocks:
        yield Change(block.id, block.content, _new_text(random, block, random.choice(kinds)))
    if random.random() < 0.3:
        title = page.head.get("title", "")
        yield Change("title", title, f"{title} {random.choice(WORDS)}".strip())
    if random.random() < 0.3:
        yield Change("metaDescription", page.head.get("metaDescription", ""), _words(random, 9))


def some_blocks(random: Random, page: PageMap, most: int) -> list[Block]:
    blocks = blocks_of(page)
    return random.sample(blocks, min(most, len(blocks)))


def _new_text(random: Random, block: Block, kind: str) -> str:
    if block.type == "img":
        return _words(random, 3)
    pieces = re.findall(r"\w+|\W+", block.content)
    places = [n for n, piece in enumerate(pieces) if piece[0].isalnum()]
    if not places:
        return f"{block.content} {random.choice(WORDS)}"
    place = random.choice(places)
    if kind == "replace":
        pieces[place] = random.choice(WORDS)
    elif kind == "insert":
        pieces.insert(place, f"{random.choice(WORDS)} ")
    elif kind == "append":
        pieces.append(f" {_words(random, 4)}")
    elif kind == "spelling":
        pieces[place] += "z"
    elif kind == "delete" and len(places) > 1:
        del pieces[place]
    else:
        pieces = [_words(random, len(places))]
    text = "".join(pieces)
    return text if block.type == "pre" else re.sub(r"[\t\n\f\r ]+", " ", text).strip(" ")


def _words(random: Random, count: int) -> str:
    return " ".join(random.choices(WORDS, k=count))
