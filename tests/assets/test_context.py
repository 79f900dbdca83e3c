"""What pages say of files: from maps of any tool, once for equal files, and only where it changed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.assets.asset_file import AssetFile
from nimbus_tasks.assets.context import new_contexts, send_contexts
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.uses import note_uses
from nimbus_tasks.backends.blobs import BlobStore, Context, Location, PageInUse
from nimbus_tasks.model.errors import RefusedError
from nimbus_tasks.project.settings import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAMP = (1, 2, 3)
A, B = "a" * 64, "b" * 64


def image(src: str, alt: str) -> dict[str, object]:
    return {"id": "block-1", "type": "img", "content": alt, "attributes": {"src": src}}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AssetLedger]:
    """A ledger that sees the maps of this folder, all of them changed."""
    monkeypatch.chdir(tmp_path)
    with AssetLedger(tmp_path / "assets.db") as opened:
        monkeypatch.setattr(opened, "stale_maps", lambda: ([(str(p), STAMP) for p in tmp_path.glob("*.json")], []))
        opened.confirm("here", [(A, Location("a"), "now"), (B, Location("b"), "now")])
        yield opened


def note(ledger: AssetLedger, path: str, title: str, *blocks: dict[str, object], url: object = "", **head: str) -> None:
    content = {
        "path": path,
        "url": url,
        "head": {"title": title} | head,
        "assets": ["dist/img/a.png", "dist/b.png"],
        "above_fold_blocks": blocks[:1],
        "rest_of_page_blocks": blocks[1:],
    }
    with open(path.replace("/", "-") + ".json", "w", encoding="utf-8") as file:
        json.dump(content, file)
    note_uses(ledger, Source(folder="dist"))


FILES = [AssetFile("dist/img/a.png", STAMP, A, "image/png"), AssetFile("dist/b.png", STAMP, B, "image/png")]


def contexts(ledger: AssetLedger, files: list[AssetFile] = FILES, domain: str = "") -> dict[str, Context]:
    return {each.sha256: each.context for each in new_contexts(files, ledger, "here", domain)}


ONE, TWO = PageInUse("/one.html", "One"), PageInUse("/sub/two.html", "Two")


def test_alt_texts_are_of_the_files_that_addresses_name(ledger: AssetLedger) -> None:
    blocks = (
        *(image("img/a.png?v=1", "relative"), image("/img/a.png", "absolute"), image("/img/a.png", "absolute")),
        *(image("https://me.example/img/a.png", "own"), image("https://other.example/img/a.png", "other")),
        *(image("/missing.png", "none"), {"type": "p", "content": "text"}),
    )
    note(ledger, "dist/one.html", "One", *blocks, canonical="https://me.example/one")
    note(ledger, "dist/sub/two.html", "Two", image("../b.png", "up"), image("../img/a.png", ""))
    assert contexts(ledger) == {
        A: Context(("relative", "absolute", "own"), ("One", "Two"), (ONE, TWO)),
        B: Context(("up",), ("One", "Two"), (ONE, TWO)),
    }
    # Equal files are one asset, and long texts are cut.
    note(ledger, "dist/one.html", "One", image("img/a.png", "x" * 3000))
    equal = [FILES[0], AssetFile("dist/b.png", STAMP, A, "image/png")]
    assert contexts(ledger, equal) == {A: Context(("up", "x" * 2000), ("One", "Two"), (ONE, TWO))}


@pytest.mark.parametrize(
    ("domain", "site"),
    [
        ("", ""),
        ("example.com", "https://example.com"),
        ("http://Example.com:8080/", "https://example.com:8080"),
        ("my site", ""),
        ("me@example.com", ""),
    ],
)
def test_pages_are_told_by_their_addresses(ledger: AssetLedger, domain: str, site: str) -> None:
    """The address that a map names where it is one, as at the edge; without a domain it is a path."""
    for number, url in enumerate(("/named/", "", "//other.example/", "javascript:alert(1)", 5)):
        note(ledger, f"dist/{number}/index.html", str(number), url=url)
    paths = ("/named/", "/1/", "/2/", "/3/", "/4/")
    pages = contexts(ledger, domain=domain)[A].pages
    assert pages == tuple(PageInUse(site + path, str(number)) for number, path in enumerate(paths))


def test_of_many_pages_some_are_told(ledger: AssetLedger) -> None:
    note(ledger, "dist/0.html", "0", url="/" + "x" * 2000)
    note(ledger, "dist/1.html", "x" * 500)
    for number in range(2, 60):
        note(ledger, f"dist/{number}.html", "Same", url="/same" if number < 4 else "")
    pages = contexts(ledger)[A].pages
    assert len(pages) == 50
    assert pages[0] == PageInUse("/1.html", "x" * 300)
    assert [page.url for page in pages].count("/same") == 1


def test_only_what_changed_is_told_and_failures_are_told_again(ledger: AssetLedger) -> None:
    note(ledger, "dist/one.html", "One", image("img/a.png", "alt"))
    sent: list[tuple[str, Context]] = []
    warnings: list[str] = []

    class Service(BlobStore):
        identity = "here"

        async def describe(self, location: Location, context: Context) -> None:
            if location.url == "b":
                raise RefusedError("no such asset")
            sent.append((location.url, context))

    async def work() -> None:
        await send_contexts(Service(), ledger, new_contexts(FILES, ledger, "here", ""), 2, warnings.append)

    asyncio.run(work())
    assert sent == [("a", Context(("alt",), ("One",), (ONE,)))]
    assert warnings == ["The service does not know the alt texts and titles of 1 files: no such asset"]
    assert list(contexts(ledger)) == [B]
    note(ledger, "dist/one.html", "Another", image("img/a.png", "alt"))
    assert contexts(ledger)[A] == Context(("alt",), ("Another",), (PageInUse("/one.html", "Another"),))
