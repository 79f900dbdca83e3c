"""The Worker renders a record in JavaScript: the same as here, character for character."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_render import CASES, SITES, record

from nimbus_tasks.html.render import to_html, to_markdown

RENDER = Path(__file__).parents[2] / "gateway/worker/render.mjs"

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="there is no node here")


def in_worker(documents: list[Any]) -> list[Any]:
    run = subprocess.run(
        ["node", str(RENDER)], input=json.dumps(documents), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return json.loads(run.stdout)


def here(document: Any) -> list[str] | None:
    try:
        return [to_html(document), to_markdown(document)]
    except (ValueError, TypeError):
        return None


def same(documents: list[Any]) -> None:
    for document, theirs in zip(documents, in_worker(documents), strict=True):
        ours = here(document)
        if theirs != ours:
            pytest.fail(f"{json.dumps(document)}\n{theirs}\n{ours}")


def test_pages_of_all_kinds() -> None:
    pages = [record(f"<main>{html}</main>") for html, _, _ in CASES]
    pages.append(
        record(
            "<html lang=en><title>A &amp; 'B'</title><meta name=description content=c><link rel=canonical href=/x><p>a"
        )
    )
    pages.append(
        record("<main><p>\U0001f600 <b>\U0001f3f3 x</b><br>\U0001f600 <a href=/a>b</a><pre>\x85a\u3000\n</pre><p>\x1ca")
    )
    same(pages)


def test_real_pages() -> None:
    paths = [path for path in sorted(SITES.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    if not paths:
        pytest.skip("no real sites: run `make sites`")
    same([found for path in paths[::401] if (found := record(path.read_bytes())) is not None])


ODD = [None, 7, -1, 1.5, True, "", "x", [], {}, [None], ["x"], {"a": 1}]
TEXTS = ["", "a", "one two", "# a", "1. b|c", "`x` ``", "\U0001f600 *b*", "a\nb", " <c> & 'd' ", "\xa0", "\\|\n\n  |"]


def test_records_of_other_programs() -> None:
    """Seeded, so that a failure can be repeated: blocks with fields of our shape and of any other."""
    draw = random.Random(13)

    def one(of: list[Any]) -> Any:
        return draw.choice(of) if draw.random() < 0.97 else draw.choice(ODD)

    def number() -> Any:
        return one([0, 1, 2, 3, 5, -1, 25, 10**6])

    def link() -> Any:
        return one([{"text": "t", "href": one(["/a", "a(b)", "javascript:x", "HTTP://x y", "mailto:a"])}])

    def block(at: int) -> dict[str, Any]:
        types = ["p", "h1", "h3", "li", "td", "th", "dt", "dd", "img", "pre", "summary", "details", "figcaption", "div"]
        found: dict[str, Any] = {"id": f"block-{at}", "type": draw.choice(types), "content": draw.choice(TEXTS)}
        fields: dict[str, Any] = {
            "attributes": {"src": draw.choice(TEXTS), "colspan": draw.choice(["2", "x", "12345", ""])},
            "links": one([[link() for _ in range(draw.randint(0, 3))]]),
            "marks": one([[
                {"type": one(["a", "em", "strong", "code", "kbd"]), "start": number(), "end": number()}
                for _ in range(draw.randint(0, 4))
            ]]),
            "breaks": one([[number(), number()]]),
            "inner": one([[{"id": f"block-{at + draw.randint(-1, 3)}", "at": number()}]]),
            "list": one([{"kind": one(["ul", "ol"]), "level": number(), "item": number()}]),
            "table": one([{"id": one(["t", "u"]), "row": number(), "column": one([0, 2, 400]), "header": one([True])}]),
            "quote": number(),
            "group": one(["g", "h", ""]),
            "language": one(["py", "<x>"]),
            "sources": one([[{"src": "s", "type": one(["t", ""])}]]),
        }  # fmt: skip
        return found | {name: value for name, value in fields.items() if draw.random() < 0.3}

    def page() -> dict[str, Any]:
        blocks = [block(at) for at in range(draw.randint(0, 8))]
        above = draw.randint(0, len(blocks))
        return {
            "engine": "e", "main_selector": "main", "head": one([{"title": draw.choice(TEXTS), "lang": "e'n"}]),
            "dimensions": one([{}]), "above_fold_blocks": blocks[:above], "rest_of_page_blocks": blocks[above:],
            "selector_map": one([{}]), "media": one([[{"type": "video", "src": "/v", "after": one(["block-1", ""])}]]),
        }  # fmt: skip

    same([page() for _ in range(400)] + ODD)
