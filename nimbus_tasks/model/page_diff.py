"""How the content of a page differs from what it was: as JSON pointers, each with what is there before and after. Pure.

Blocks are aligned by what they say, so that one more block at the top of a page is one difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model.page_map import lasting_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

_BLOCKS = ("above_fold_blocks", "rest_of_page_blocks")
#: Characters of a value that is shown, and of those before the place where it differs.
_SHOWN, _SAME_BEFORE = 160, 40
#: More blocks in a row that differ are not aligned, which takes quadratic time.
_MOST_ALIGNED = 300


class Difference(Struct, frozen=True, omit_defaults=True):
    """A value that differs, with the JSON pointer of it in the map; a block that is gone, with the former one.

    before, after: texts, cut; absent where there is none.
    """

    pointer: str
    before: str | UnsetType = UNSET
    after: str | UnsetType = UNSET


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], hide: Callable[[str], str] = str
) -> Iterator[Difference]:
    """Yield how two decoded maps differ in what their digests are made of, but for their paths.

    hide: applied to whole texts, before they are cut.
    """
    for pointer, *values in _differing(lasting_fields(before), lasting_fields(after)):
        yield Difference(pointer, *_cut(*(UNSET if each is UNSET else hide(_text(each)) for each in values)))


#: A pointer, and the values there; UNSET where there is none.
_Differing = tuple[str, Any, Any]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[_Differing]:
    old, new = _blocks(before), _blocks(after)
    if old is None or new is None:
        yield from _members(before, after, "", {"path"})
        return
    yield from _members(before, after, "", {"path", "selector_map", *_BLOCKS})
    pairs = list(_pairs(old, new))
    for one, other in pairs:
        if one is not None and other is not None:
            yield from _members(one.block, other.block, other.pointer, {"id"})
        elif one is not None:
            yield one.pointer, one.text, UNSET
        else:
            assert other is not None
            yield other.pointer, UNSET, other.text
    if all(one is not None and other is not None for one, other in pairs):
        # Otherwise these differ because there are other blocks.
        yield from _walk(before.get("selector_map"), after.get("selector_map"), "/selector_map")
        old_number, new_number = (f"{len(content[_BLOCKS[0]])} above the fold" for content in (before, after))
        yield from _walk(old_number, new_number, f"/{_BLOCKS[0]}")


def _members(
    before: Mapping[str, Any], after: Mapping[str, Any], pointer: str, without: Container[str] = ()
) -> Iterator[_Differing]:
    for name in sorted(before.keys() | after.keys()):
        if name not in without:
            escaped = name.replace("~", "~0").replace("/", "~1")
            yield from _walk(before.get(name, UNSET), after.get(name, UNSET), f"{pointer}/{escaped}")


def _walk(before: Any, after: Any, pointer: str) -> Iterator[_Differing]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _members(before, after, pointer)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _walk(one, other, f"{pointer}/{number}")
    else:
        yield pointer, before, after


# --- blocks -------------------------------------------------------------------------------------------


class _Block(Struct, frozen=True):
    pointer: str
    block: dict[str, Any]

    @property
    def text(self) -> Any:
        return self.block.get("content")

    @property
    def says(self) -> tuple[str, str]:
        return str(self.block.get("type")), str(self.text)


def _blocks(content: Mapping[str, Any]) -> list[_Block] | None:
    """Return the blocks of a map in their order; None where it has another shape."""
    found = []
    for name in _BLOCKS:
        blocks = content.get(name)
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            return None
        found += [_Block(f"/{name}/{number}", block) for number, block in enumerate(blocks)]
    return found


def _pairs(before: list[_Block], after: list[_Block]) -> Iterator[tuple[_Block | None, _Block | None]]:
    """Yield the blocks that belong together; None where one has no counterpart."""
    old, new = [each.says for each in before], [each.says for each in after]
    least = min(len(old), len(new))
    first = next((n for n in range(least) if old[n] != new[n]), least)
    last = next((n for n in range(least - first) if old[-1 - n] != new[-1 - n]), least - first)
    yield from zip(before[:first], after[:first], strict=True)
    before_end, after_end = len(old) - last, len(new) - last
    for old_run, new_run in _runs(old[first:before_end], new[first:after_end]):
        olds, news = before[first:][old_run], after[first:][new_run]
        if len(olds) == len(news):
            yield from zip(olds, news, strict=True)
        else:
            yield from ((each, None) for each in olds)
            yield from ((None, each) for each in news)
    yield from zip(before[before_end:], after[after_end:], strict=True)


def _runs(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> Iterator[tuple[slice, slice]]:
    """Yield the runs that belong together."""
    if max(len(old), len(new)) > _MOST_ALIGNED:
        yield slice(None, len(old)), slice(None, len(new))
        return
    from difflib import SequenceMatcher  # 2 ms that most runs do without

    for _, begin, end, other_begin, other_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield slice(begin, end), slice(other_begin, other_end)


# --- texts --------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(before: str | UnsetType, after: str | UnsetType) -> tuple[str | UnsetType, str | UnsetType]:
    """Return two texts, or their parts from shortly before the place where they differ."""
    start = 0
    if isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > _SHOWN:
        same = next((n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
        start = max(0, same - _SAME_BEFORE)
    return _part(before, start), _part(after, start)


def _part(text: str | UnsetType, start: int) -> str | UnsetType:
    if text is UNSET:
        return UNSET
    part = text[start : start + _SHOWN]
    return ("…" if start else "") + part + ("…" if start + _SHOWN < len(text) else "")
