"""Small words for the tests of this room."""

from __future__ import annotations

import asyncio

from msgspec import UNSET
from msgspec.structs import replace

from nimbus_tasks.model.page_map import Block
from nimbus_tasks.processing.optimise import Change, Page
from nimbus_tasks.processing.optimise.rules import improve

SENTENCES = (
    "We repair mechanical watches of all makers in our own workshop.",
    "Bring yours along, and you will have it back within two weeks.",
    "Every watch is tested for seven days before you get it back from us.",
)
GOOD_HEAD = {"title": "Watch repair in Berlin", "metaDescription": f"{SENTENCES[0]} {SENTENCES[1]}"}


def block(kind: str, content: str, **attributes: str) -> Block:
    return Block("", kind, content, {name.replace("_", "-"): value for name, value in attributes.items()})


def page(*blocks: Block, head: dict[str, str] | None = None, tone: str = "neutral", **facts: str) -> Page:
    """Return a page with nothing to change in its head, unless it says so."""
    numbered = tuple(replace(each, id=each.id or f"block-{n}") for n, each in enumerate(blocks))
    return Page(
        "page_0123456789ab", "dist/a.html", (GOOD_HEAD if head is None else head) | facts, numbered, "main", tone
    )


def changes(*blocks: Block, head: dict[str, str] | None = None, **facts: str) -> dict[str, Change]:
    """Return what the rules change, by id."""
    found = improve(page(*blocks, head=head, **facts)).changes
    assert len({change.id for change in found}) == len(found)
    return {change.id: change for change in found}


def texts(*blocks: Block, head: dict[str, str] | None = None, **facts: str) -> dict[str, str]:
    return {change.id: change.optimized_content for change in changes(*blocks, head=head, **facts).values()}


def tidy(text: str, kind: str = "p", **facts: str) -> str:
    """Return a text as the rules leave it where it stands on a page in English."""
    return texts(block(kind, text), block("li", "Words"), **({"lang": "en"} | facts)).get("block-0", text)


def applied(before: Page, found: tuple[Change, ...]) -> Page:
    """Return a page with changes in it."""
    by_id = {change.id: change for change in found}
    head = {name: by_id[name].optimized_content for name in ("title", "metaDescription") if name in by_id}
    blocks = []
    for each in before.blocks:
        if each.id in by_id:
            change = by_id[each.id]
            kind = each.type if change.optimized_type is UNSET else change.optimized_type
            each = replace(each, content=change.optimized_content, type=kind)  # noqa: PLW2901
        blocks.append(each)
    return replace(before, head=before.head | head, blocks=tuple(blocks))


def run(coroutine):
    with asyncio.Runner() as runner:
        return runner.run(coroutine)
