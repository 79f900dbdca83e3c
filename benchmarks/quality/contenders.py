"""What is compared: our extractor, and tools that look for the main content of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from turbohtml import parse

from benchmarks.timing import say
from nimbus_tasks.html.chrome import learn, sample_of
from nimbus_tasks.html.extract import Rules, Skipped, extract_page
from nimbus_tasks.html.styles import Styles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nimbus_tasks.html.rules import FoldName
    from nimbus_tasks.model.page_map import PageMap

#: The windows of the judge, as the settings name them.
FOLDS: tuple[FoldName, ...] = ("desktop", "phone")


class Kept(Struct, frozen=True):
    """What a tool keeps of a page; above: the words above each fold, where it tells. page: our map, or why none."""

    text: str
    above: tuple[str, ...] = ()
    page: PageMap | Skipped | None = None


def ours(root: Path, pages: Sequence[Path]) -> Iterator[Kept]:
    """Extract as `doit extract` does, with default settings."""
    styles = Styles(lambda address: _read(root, address))
    rules = Rules(noindex=True)
    everything = sorted(path for path in root.rglob("*.htm*") if path.is_file() and not path.is_symlink())
    learning = (everything[number] for number in sample_of(len(everything)))
    common = learn(((str(path.relative_to(root)), path.read_bytes()) for path in learning), rules, styles)
    rules = replace(rules, chrome=common.selectors, chrome_texts=frozenset(common.texts))
    for path in pages:
        name = str(path.relative_to(root))
        html = path.read_bytes()
        found = [extract_page(name, html, replace(rules, fold=fold), styles).page for fold in FOLDS]
        above = tuple("" if isinstance(page, Skipped) else _words(page.above_fold_blocks) for page in found)
        rest = "" if isinstance(found[0], Skipped) else _words(found[0].rest_of_page_blocks)
        yield Kept(f"{above[0]}\n{rest}", above, found[0])


def _read(root: Path, address: str) -> str | None:
    try:
        return (root / address).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _words(blocks: Sequence[object]) -> str:
    # The browser's visible text has no alternative texts.
    return "\n".join(block.content for block in blocks if block.type != "img")  # type: ignore[attr-defined]


def _body(html: bytes) -> str:
    body = parse(html, scripting=True).find("body")
    if body is None:
        return ""
    for element in body.select("script, style, template, noscript"):
        element.clear()
    return body.text


def _trafilatura(html: bytes) -> str:
    import trafilatura

    return trafilatura.extract(html, include_tables=True, favor_recall=True) or ""


def _readability(html: bytes) -> str:
    from readability import Document

    return parse(Document(html.decode(errors="replace")).summary().encode()).text


def _resiliparse(html: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(html.decode(errors="replace"), main_content=True, alt_texts=False)
    return text


def _each(tool: Callable[[bytes], str]) -> Callable[[Path, Sequence[Path]], Iterator[Kept]]:
    def run(_: Path, pages: Sequence[Path]) -> Iterator[Kept]:
        for path in pages:
            try:
                yield Kept(tool(path.read_bytes()))
            except Exception as error:  # a peer that fails on a page keeps nothing of it
                say(f"  {tool.__name__.lstrip('_')} failed on {path.name}: {error}")
                yield Kept("")

    return run


CONTENDERS: dict[str, Callable[[Path, Sequence[Path]], Iterator[Kept]]] = {
    "Nimbus Tasks": ours,
    "plain <body>": _each(_body),
    "trafilatura": _each(_trafilatura),
    "readability-lxml": _each(_readability),
    "resiliparse": _each(_resiliparse),
}
