"""The rules of a map file: which values make a page, and what to do about one that does not.

`is_sound` and `faults` are one set of rules twice. The first answers yes or no at the speed of C and sets,
which is all that a good page needs; the second walks the values of a bad one. A property test holds the two
together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from nimbus_tasks.html.validate.advice import ENGINE, advice
from nimbus_tasks.html.validate.paths import fault_of_path
from nimbus_tasks.model.page_map import PageMap
from nimbus_tasks.model.verdict import Finding, Where, name, printable, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

ARRAYS = ("above_fold_blocks", "rest_of_page_blocks")


def findings(document: object) -> Iterator[Finding]:
    """Yield all that is wrong with a decoded map file, then what could be better."""
    page = _shaped(document)
    if page is None or not is_sound(page):
        yield from faults(document)
    if page is not None:  # advice can wait until the page has its shape
        yield from advice(page)


def path_of(document: object) -> str:
    """Return the path a map names, however little else of it is right."""
    path = document.get("path") if isinstance(document, dict) else None
    return path if isinstance(path, str) else ""


def _shaped(document: object) -> PageMap | None:
    try:
        return msgspec.convert(document, PageMap)
    except msgspec.ValidationError:
        return None


def is_sound(page: PageMap) -> bool:
    """Tell whether a page of the right shape also keeps the rules that types cannot say."""
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    ids = [block.id for block in blocks]
    selectors = [page.selector_map.get(block_id, "") for block_id in ids]
    return (
        not fault_of_path(page.path)
        and bool(page.engine.strip() and page.main_selector.strip() and page.head.get("title", "").strip())
        and all(ids)
        and all([block.type for block in blocks])  # noqa: C419 - a list is faster here
        and all(map(str.strip, selectors))
        and len(set(ids)) == len(ids)
        and len(set(selectors)) == len(selectors)
    )


# --- faults: what keeps a page back -------------------------------------------------------------------


class _Member(NamedTuple):
    """What an object's member must be, and what to write where it is not."""

    kind: type[str] | type[dict[str, Any]] | type[list[Any]]
    write: str
    required: bool = True


_PAGE = {
    "path": _Member(str, "write the page's path from the project root, such as dist/about.html"),
    "engine": _Member(str, f'write "{ENGINE}"'),
    "main_selector": _Member(str, "write the CSS selector of the main content, such as main"),
    "head": _Member(dict, "write an object with at least the page's title"),
    "dimensions": _Member(dict, "write an object, {} where nothing is known"),
    "above_fold_blocks": _Member(list, "write an array of blocks, [] where there are none"),
    "rest_of_page_blocks": _Member(list, "write an array of blocks, [] where there are none"),
    "selector_map": _Member(dict, "write an object with a CSS selector for each block id"),
}

_BLOCK = {
    "id": _Member(str, "write an id that no other block of the page has, such as block-7"),
    "type": _Member(str, "write the element's tag, such as p"),
    "content": _Member(str, 'write the element\'s text, "" where it has none'),
    "attributes": _Member(dict, "write an object of strings, or leave it out", required=False),
    "optimized_content": _Member(str, "write the new text, or leave it out", required=False),
}

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def faults(document: object) -> Iterator[Finding]:
    """Yield every error of a decoded map file, in the order of its fields."""
    if not isinstance(document, dict):
        yield Finding((), f"a map file holds one JSON object, not {_KINDS[type(document)]}: write the map again")
        return
    yield from _members((), document, _PAGE)
    yield from _page_texts(document)
    blocks = list(_blocks(document))
    yield from _block_faults(blocks)
    yield from _selector_faults(document.get("selector_map"), blocks)


def _page_texts(document: dict[str, Any]) -> Iterator[Finding]:
    path = document.get("path")
    if isinstance(path, str) and (fault := fault_of_path(path)):
        yield Finding(("path",), fault)
    for field in ("engine", "main_selector"):
        text = document.get(field)
        if isinstance(text, str) and not text.strip():
            yield Finding((field,), f"{field} is empty: {_PAGE[field].write}")
    if isinstance(head := document.get("head"), dict):
        yield from _head_faults(head, printable(path) if isinstance(path, str) and path else "the page")


def _head_faults(head: dict[str, Any], whose: str) -> Iterator[Finding]:
    where, write = ("head", "title"), f"add a <title> to {whose}"
    title = head.get("title", "")
    if not isinstance(title, str):
        yield _wrong(where, title, "a string", write)
    elif not title.strip():
        said = "empty" if "title" in head else "missing"
        yield Finding(where, f"head.title is {said}: {write}")
    others = {field: text for field, text in head.items() if field != "title"}
    yield from _strings(("head",), others, "write a string, or leave it out")


def _blocks(document: dict[str, Any]) -> Iterator[tuple[Where, Any]]:
    """Yield the blocks of both arrays, each with where it stands."""
    for field in ARRAYS:
        array = document.get(field)
        if isinstance(array, list):
            yield from (((field, i), block) for i, block in enumerate(array))


def _block_faults(blocks: list[tuple[Where, Any]]) -> Iterator[Finding]:
    first: dict[str, Where] = {}
    for where, block in blocks:
        if not isinstance(block, dict):
            wanted = "must be a block, so an object"
            yield Finding(where, f"{name(where)} {wanted}, not {_KINDS[type(block)]}: mend it or leave it out")
            continue
        yield from _members(where, block, _BLOCK)
        yield from _empty_texts(where, block)
        attributes, block_id = block.get("attributes"), block.get("id")
        if isinstance(attributes, dict):
            yield from _strings((*where, "attributes"), attributes, "write a string, or leave it out")
        if isinstance(block_id, str) and block_id and first.setdefault(block_id, where) is not where:
            taken = f"{name((*where, 'id'))} is {quote(block_id)}, as is the id of {name(first[block_id])}"
            yield Finding((*where, "id"), f"{taken}: give each block of the page an id of its own")


def _empty_texts(where: Where, block: dict[str, Any]) -> Iterator[Finding]:
    for field in ("id", "type"):
        if block.get(field) == "":
            yield Finding((*where, field), f"{name((*where, field))} is empty: {_BLOCK[field].write}")


def _selector_faults(selector_map: object, blocks: list[tuple[Where, Any]]) -> Iterator[Finding]:
    if not isinstance(selector_map, dict):
        return
    yield from _strings(("selector_map",), selector_map, "write the CSS selector of that block")
    ids = (block.get("id") for _, block in blocks if isinstance(block, dict))
    owner: dict[str, str] = {}
    for block_id in dict.fromkeys(i for i in ids if isinstance(i, str) and i):
        where, selector = ("selector_map", block_id), selector_map.get(block_id, "")
        if not isinstance(selector, str):
            continue
        if not selector.strip():
            said = "empty" if block_id in selector_map else "missing"
            yield Finding(where, f"{name(where)} is {said}: write the CSS selector of block {quote(block_id)}")
        elif owner.setdefault(selector, block_id) != block_id:
            shared = f"{name(where)} is the selector of {quote(owner[selector])} too"
            yield Finding(where, f"{shared}: write one that matches exactly one element")


def _members(where: Where, value: dict[str, Any], table: dict[str, _Member]) -> Iterator[Finding]:
    """Yield what an object lacks or has of the wrong type."""
    for field, member in table.items():
        here = (*where, field)
        if field not in value:
            if member.required:
                yield Finding(here, f"{name(here)} is missing: {member.write}")
        elif not isinstance(value[field], member.kind):
            yield _wrong(here, value[field], _KINDS[member.kind], member.write)


def _strings(where: Where, value: dict[str, Any], write: str) -> Iterator[Finding]:
    """Yield the members of an object of strings that are none."""
    for key, text in value.items():
        if not isinstance(text, str):
            yield _wrong((*where, key), text, "a string", write)


def _wrong(where: Where, value: object, wanted: str, write: str) -> Finding:
    return Finding(where, f"{name(where)} must be {wanted}, not {_KINDS[type(value)]}: {write}")
