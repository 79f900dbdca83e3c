"""Pages as generators wrote them: each selector finds its element in another parser, and that holds the text.

`make sites` fetches them. Pages are compared by a sample here, and all of them in `make soak`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from lexbor_oracle import is_hidden, own_text
from selectolax.lexbor import LexborHTMLParser
from turbohtml import parse

from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.parse import parse_page
from nimbus_tasks.html.extract.presets import find_preset

pytestmark = pytest.mark.no_cover

SITES = Path(os.environ.get("NIMBUS_REAL_SITES") or Path(__file__).parents[3] / ".cache" / "sites")
# Lexbor walks the whole page for each selector, so large pages are for the soak.
SAMPLE = 150
SMALL = 60_000
MOST_SELECTORS = 400
TURNS = 40

# Names of WHATWG encodings that Python knows otherwise or not at all.
PYTHONS_NAMES = {"EUC-KR": "cp949", "Shift_JIS": "cp932"}


def pages() -> list[Path]:
    return [path for path in sorted(SITES.rglob("*.html")) if path.is_file() and not path.is_symlink()]


def decoded(html: bytes) -> str:
    encoding = parse(html).encoding or "utf-8"
    return html.decode(PYTHONS_NAMES.get(encoding, encoding), "replace").removeprefix("\ufeff")


def check(path: Path) -> None:
    html = path.read_bytes()
    page = extract(path.name, html, Rules())
    if isinstance(page, Skipped):
        assert page.reason
        return
    msgspec.json.encode(page)
    other = LexborHTMLParser(decoded(html))
    for ignored in find_preset(parse_page(html)).ignore:
        for node in other.css(ignored):
            for child in list(node.iter(include_text=True)):
                child.decompose()
    blocks = page.above_fold_blocks + page.rest_of_page_blocks
    assert [block.id for block in blocks] == list(page.selector_map) == [f"block-{n}" for n in range(len(blocks))]
    assert len(other.css(page.main_selector)) == 1, page.main_selector
    seen = set()
    for block in blocks[:: 1 + len(blocks) // MOST_SELECTORS]:
        selector = page.selector_map[block.id]
        found = other.css(selector)
        assert len(found) == 1, (path, selector)
        node = found[0]
        assert node.mem_id not in seen, (path, selector)
        seen.add(node.mem_id)
        assert node.tag == block.type
        assert not is_hidden(node)
        if block.type != "img":
            assert block.content == own_text(node), (path, selector)
        assert {name: value or "" for name, value in node.attributes.items() if not name.startswith("on")} == (
            block.attributes
        )


@pytest.fixture(scope="module")
def all_pages() -> list[Path]:
    found = pages()
    if not found:
        pytest.skip(f"no real sites in {SITES}: `make sites` fetches them")
    return found


def test_a_sample_of_real_pages_is_found_again_by_another_parser(all_pages: list[Path]) -> None:
    small = [path for path in all_pages if path.stat().st_size < SMALL]
    for path in small[:: max(1, len(small) // SAMPLE)]:
        check(path)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("turn", range(TURNS))
def test_every_real_page_is_found_again_by_another_parser(all_pages: list[Path], turn: int) -> None:
    for path in all_pages[turn::TURNS]:
        check(path)
