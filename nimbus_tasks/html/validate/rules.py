"""The rules of a map file: errors, which keep a page from being sent, and warnings, each with what to do.

`is_sound` and `errors` state the same rules twice. The first answers yes or no, in C and with sets, which is enough
for nearly every page; the second walks the values of a bad page. A property test holds the two together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from nimbus_tasks.model.issues import Finding, Where, name, printable, quote
from nimbus_tasks.model.page_map import PageMap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARRAYS = ("above_fold_blocks", "rest_of_page_blocks")
ENGINE = "html"

#: Search engines cut longer ones: worth a warning.
MAX_TITLE = 70
MAX_DESCRIPTION = 160


def findings(document: object) -> Iterator[Finding]:
    """Yield the errors of a decoded map file, then its warnings."""
    page = as_page(document)
    if page is None or not is_sound(page):
        yield from errors(document)
    if page is not None:
        yield from _warnings(page)


def as_page(document: object) -> PageMap | None:
    """Return the document as a page, or None where it does not have the shape of one."""
    try:
        return msgspec.convert(document, PageMap)
    except msgspec.ValidationError:
        return None


def path_of(document: object) -> str:
    """Return the path in a map, even where the rest of it is invalid; empty without one."""
    path = document.get("path") if isinstance(document, dict) else None
    return path if isinstance(path, str) else ""


# --- source paths: part of the page's id, so they must name the same file on every machine --------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")  # the second on Windows

#: The first that matches a path is reported.
_PATH_ERRORS: tuple[tuple[Callable[[str], object], str], ...] = (
    (_CONTROL.search, "contains a control character: rename the page"),
    (lambda path: "\\" in path, "contains a backslash: separate folders with /"),
    (_ABSOLUTE.match, "is absolute: write it from the project root, such as dist/about.html"),
    (lambda path: ".." in path.split("/"), "leaves its folder with ..: write it from the project root"),
    (lambda path: "." in path.split("/"), "contains a . folder: leave it out"),
    (lambda path: "" in path.split("/"), "contains an empty folder name: write one / between two names"),
)


def path_error(path: str) -> str:
    """Return what is wrong with a source path and what to do; empty where it is valid."""
    if not path:
        return "path is empty: write the page's path from the project root, such as dist/about.html"
    return next((f"path {quote(path)} {error}" for matches, error in _PATH_ERRORS if matches(path)), "")


# --- errors -------------------------------------------------------------------------------------------


def is_sound(page: PageMap) -> bool:
    """Return whether a page of the right shape keeps the rules that its types do not express."""
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    ids = [block.id for block in blocks]
    selectors = [page.selector_map.get(block_id, "") for block_id in ids]
    return (
        not path_error(page.path)
        and bool(page.engine.strip() and page.main_selector.strip() and page.head.get("title", "").strip())
        and all(ids)
        and all([block.type for block in blocks])  # noqa: C419 - a list is faster here
        and all(map(str.strip, selectors))
        and len(set(ids)) == len(ids)
        and len(set(selectors)) == len(selectors)
    )


class _Member(NamedTuple):
    """The required type of an object's member, and the advice where it is wrong or missing."""

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


def errors(document: object) -> Iterator[Finding]:
    """Yield all errors of a decoded map file, in the order of its fields."""
    if not isinstance(document, dict):
        yield Finding((), f"a map file holds one JSON object, not {_KINDS[type(document)]}: write the map again")
        return
    yield from _members((), document, _PAGE)
    yield from _page_texts(document)
    blocks = list(_blocks(document))
    yield from _block_errors(blocks)
    yield from _selector_errors(document.get("selector_map"), blocks)


def _page_texts(document: dict[str, Any]) -> Iterator[Finding]:
    path = document.get("path")
    if isinstance(path, str) and (error := path_error(path)):
        yield Finding(("path",), error)
    for field in ("engine", "main_selector"):
        text = document.get(field)
        if isinstance(text, str) and not text.strip():
            yield Finding((field,), f"{field} is empty: {_PAGE[field].write}")
    if isinstance(head := document.get("head"), dict):
        yield from _head_errors(head, printable(path) if isinstance(path, str) and path else "the page")


def _head_errors(head: dict[str, Any], whose: str) -> Iterator[Finding]:
    where, write = ("head", "title"), f"add a <title> to {whose}"
    title = head.get("title", "")
    if not isinstance(title, str):
        yield _wrong(where, title, "a string", write)
    elif not title.strip():
        state = "empty" if "title" in head else "missing"
        yield Finding(where, f"head.title is {state}: {write}")
    others = {field: text for field, text in head.items() if field != "title"}
    yield from _strings(("head",), others, "write a string, or leave it out")


def _blocks(document: dict[str, Any]) -> Iterator[tuple[Where, Any]]:
    """Yield the blocks of both arrays, each with its position."""
    for field in ARRAYS:
        array = document.get(field)
        if isinstance(array, list):
            yield from (((field, i), block) for i, block in enumerate(array))


def _block_errors(blocks: list[tuple[Where, Any]]) -> Iterator[Finding]:
    first: dict[str, Where] = {}
    for where, block in blocks:
        if not isinstance(block, dict):
            expected = "must be a block, so an object"
            yield Finding(where, f"{name(where)} {expected}, not {_KINDS[type(block)]}: fix it or leave it out")
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


def _selector_errors(selector_map: object, blocks: list[tuple[Where, Any]]) -> Iterator[Finding]:
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
            state = "empty" if block_id in selector_map else "missing"
            yield Finding(where, f"{name(where)} is {state}: write the CSS selector of block {quote(block_id)}")
        elif owner.setdefault(selector, block_id) != block_id:
            shared = f"{name(where)} is the selector of {quote(owner[selector])} too"
            yield Finding(where, f"{shared}: write one that matches exactly one element")


def _members(where: Where, value: dict[str, Any], table: dict[str, _Member]) -> Iterator[Finding]:
    """Yield the missing members of an object, and those of the wrong type."""
    for field, member in table.items():
        here = (*where, field)
        if field not in value:
            if member.required:
                yield Finding(here, f"{name(here)} is missing: {member.write}")
        elif not isinstance(value[field], member.kind):
            yield _wrong(here, value[field], _KINDS[member.kind], member.write)


def _strings(where: Where, value: dict[str, Any], write: str) -> Iterator[Finding]:
    """Yield the members of an object that should be strings and are not."""
    for key, text in value.items():
        if not isinstance(text, str):
            yield _wrong((*where, key), text, "a string", write)


def _wrong(where: Where, value: object, expected: str, write: str) -> Finding:
    return Finding(where, f"{name(where)} must be {expected}, not {_KINDS[type(value)]}: {write}")


# --- warnings -----------------------------------------------------------------------------------------


def _warnings(page: PageMap) -> Iterator[Finding]:
    ids = {block.id for block in page.above_fold_blocks + page.rest_of_page_blocks}
    if page.engine.strip() not in ("", ENGINE):
        yield _warning(("engine",), f'is {quote(page.engine)}: only "{ENGINE}" is known to work')
    yield from _head_warnings(page)
    if not ids:
        no_text = f"{quote(page.main_selector)} finds no text in {printable(page.path)}"
        yield _warning(("main_selector",), f"leaves the page without blocks: {no_text}")
    yield from _damage_warnings(page)
    for dimension, value in page.dimensions.items():
        if value is None:
            yield _warning(("dimensions", dimension), "is null: leave it out")
    if ids != page.selector_map.keys():
        for key in sorted(page.selector_map.keys() - ids):
            yield _warning(("selector_map", key), "belongs to no block of the page: leave it out")


def _damage_warnings(page: PageMap) -> Iterator[Finding]:
    """Yield a warning at the first text with a character that stands for bytes without a meaning."""
    texts: list[tuple[Where, str]] = [(("head", field), text) for field, text in page.head.items()]
    blocks = [(array, number, block) for array in ARRAYS for number, block in enumerate(getattr(page, array))]
    texts += [((array, number, "content"), block.content) for array, number, block in blocks]
    damaged = [where for where, text in texts if "\ufffd" in text]
    if damaged:
        others = f", as do {len(damaged) - 1} other texts" if len(damaged) > 1 else ""
        advice = f"declare the encoding of {printable(page.path)} with <meta charset>, or repair the file"
        yield _warning(damaged[0], f"holds U+FFFD in place of bytes that are no text{others}: {advice}")


def _head_warnings(page: PageMap) -> Iterator[Finding]:
    title, description = page.head.get("title", "").strip(), page.head.get("metaDescription", "").strip()
    whose = printable(page.path)
    if len(title) > MAX_TITLE:
        shown = f"has {len(title)} characters, search engines show about {MAX_TITLE}"
        yield _warning(("head", "title"), f"{shown}: shorten the <title> of {whose}")
    if not description:
        where = ("head", "metaDescription")
        yield _warning(where, f'is missing: add a <meta name="description"> to {whose}')
    if len(description) > MAX_DESCRIPTION:
        shown = f"has {len(description)} characters, search engines show about {MAX_DESCRIPTION}"
        yield _warning(("head", "metaDescription"), f"{shown}: shorten the description of {whose}")


def _warning(where: Where, warning: str) -> Finding:
    return Finding(where, f"{name(where)} {warning}", "warning")
