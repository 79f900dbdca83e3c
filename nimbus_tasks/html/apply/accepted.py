"""Accepted changes: what was written into a page that was then published. Pure.

The next build of the site has the former texts again. So a page's record keeps the changes that its page came with,
and they are made again wherever the text that they replace is still there. A text may move within its page: it is found
at its id, or as the only one that says the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nimbus_tasks.html.apply.plan import CHANGEABLE_HEAD, new_content
from nimbus_tasks.model.changes import TITLE
from nimbus_tasks.model.page_map import Block

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from nimbus_tasks.model.changes import Change
    from nimbus_tasks.model.page_map import PageMap

#: A text as it is found again: its type (in the head, its name), what it says, and which image it is of.
_Text = tuple[str, str, str]


class Content(Struct):
    """The part of a stored extraction that is compared."""

    above_fold_blocks: list[Block]
    rest_of_page_blocks: list[Block]
    head: dict[str, Any] = {}
    dimensions: dict[str, Any] = {}


class Accepted(Struct, frozen=True):
    """The accepted changes of a page.

    only_these: nothing else than proposed changes, made or undone, is new in it. lacking: it has not all of them.
    """

    changes: tuple[Change, ...] = ()
    only_these: bool = False
    lacking: bool = False

    def pending(self, proposed: Iterable[Change]) -> tuple[Change, ...]:
        """Return the proposals that are not among them."""
        known = {(change.id, change.optimized_content, change.optimized_type) for change in self.changes}
        return tuple(each for each in proposed if (each.id, each.optimized_content, each.optimized_type) not in known)


def find_accepted(
    old: Content | PageMap, new: Content | PageMap, accepted: Iterable[Change], proposed: Collection[Change]
) -> Accepted:
    """Return the accepted changes of a page that replaces another one.

    accepted: those of the page before. proposed: what was proposed for it, and may have been made since.
    """
    before, after = _Texts(old), _Texts(new)
    earlier = {change.id: change for change in accepted}
    everything = [*proposed, *earlier.values()]
    found: dict[str, Change] = {}
    for change in proposed:
        was, now = before.texts_of(change)
        made = after.count(was) < before.count(was) and after.count(now) > before.count(now)
        if made and (place := after.place(change.id, now)) is not None:
            first = earlier.pop(change.id, change)
            found[place] = msgspec.structs.replace(change, id=place, type=first.type, content=first.content)
    lacking = False
    for change in earlier.values():
        was, now = before.texts_of(change)
        made_at = after.place(change.id, now)
        place = made_at or after.place(change.id, was)
        if place is not None and place not in found:
            found[place] = msgspec.structs.replace(change, id=place)
            lacking = lacking or made_at is None
    only_these = before.texts != after.texts and before.without(everything) == after.without(everything)
    return Accepted(tuple(found.values()), only_these, lacking)


def builds_of(
    page: Content, accepted: Sequence[Change], proposed: Sequence[Change]
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what builds of a page say, as title and blocks: without the accepted changes, with them, and with all."""
    page_texts = _Texts(page)
    made = page_texts.made
    for texts in (page_texts.undone(accepted), made(accepted), made([*accepted, *proposed])):
        blocks = [(kind, content) for name, (kind, content, _) in texts.items() if name not in CHANGEABLE_HEAD]
        yield texts[TITLE][1], blocks


def sort_accepted(
    record: PageMap, now: PageMap, accepted: Iterable[Change]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return the accepted changes that the page `now` lacks, as changes of it, and the ids of those that it has.

    record: the page that they were found in. Changes of texts that are gone are left out.
    """
    stored, page = _Texts(record), _Texts(now)
    todo, already = [], []
    for change in accepted:
        was, new = stored.texts_of(change)
        if page.place(change.id, new) is not None:
            already.append(change.id)
        elif (place := page.place(change.id, was)) is not None:
            todo.append(msgspec.structs.replace(change, id=place))
    return tuple(todo), tuple(already)


class _Texts:
    """The texts of a page that can change, by id, and where each one is."""

    def __init__(self, page: Content | PageMap) -> None:
        blocks = page.above_fold_blocks + page.rest_of_page_blocks
        head = {name: page.head.get(name, "") for name in CHANGEABLE_HEAD}
        self.texts: dict[str, _Text] = {name: (f"<{name}>", text, "") for name, text in head.items()}
        self.texts |= {block.id: (block.type, block.content, _image(block)) for block in blocks}
        attributes = [{name: value for name, value in block.attributes.items() if name != "alt"} for block in blocks]
        rest = {name: text for name, text in page.head.items() if name not in head}
        self._rest = rest, page.dimensions, attributes
        self._ids: dict[_Text, list[str]] = defaultdict(list)
        for each, text in self.texts.items():
            self._ids[text].append(each)

    def texts_of(self, change: Change) -> tuple[_Text, _Text]:
        """Return the former and the new text of a change of this page."""
        image = self.texts[change.id][2] if change.id in self.texts else ""
        kind = f"<{change.id}>" if change.id in CHANGEABLE_HEAD else change.type
        new_type = change.optimized_type if isinstance(change.optimized_type, str) else kind
        return (kind, change.content, image), (new_type, new_content(change, change.type), image)

    def count(self, text: _Text) -> int:
        return len(self._ids.get(text, ()))

    def place(self, text_id: str, text: _Text) -> str | None:
        """Return the id that this text has now; None where it is gone, or is one of several that have moved."""
        if self.texts.get(text_id) == text:
            return text_id
        ids = self._ids.get(text, ())
        return ids[0] if len(ids) == 1 else None

    def without(self, changes: Iterable[Change]) -> object:
        """Return what the page says without these changes, the last one first."""
        return self.undone(changes), self._rest

    def undone(self, changes: Iterable[Change]) -> dict[str, _Text]:
        """Return the texts without these changes, the last one first."""
        swapped = ((change.id, *self.texts_of(change)) for change in changes)
        return self._replaced((text_id, now, was) for text_id, was, now in swapped)

    def made(self, changes: Iterable[Change]) -> dict[str, _Text]:
        """Return the texts with these changes, the first one first."""
        return self._replaced((change.id, *self.texts_of(change)) for change in changes)

    def _replaced(self, replacements: Iterable[tuple[str, _Text, _Text]]) -> dict[str, _Text]:
        texts = dict(self.texts)
        for text_id, before, after in replacements:
            if texts.get(text_id) == before:
                texts[text_id] = after
        return texts


def _image(block: Block) -> str:
    return block.attributes.get("src", "") if block.type == "img" else ""
