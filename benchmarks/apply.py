"""Apply changes to real pages, compared with tools that serialise the tree: pages a second, and what else changes.

`python -m benchmarks.apply ours < paths` and `... tree ASKED [FOLDER]` run one contender in its own process, as
`peers/rewrite.mjs` does: pages in memory, one core. The changes are those of `tests/html/apply/measure.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from turbohtml import parse

from benchmarks.extract import PACKAGES, real_pages
from benchmarks.sites import SCRATCH
from benchmarks.timing import Figure, Row, environment, higher, in_turn, say, within
from tests.html.apply.measure import Figures, ask, measure
from tests.html.apply.outside import MARKUP, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.timing import Size

_ROOT = Path(__file__).parents[1]
_PEERS = Path(__file__).parent / "peers"
#: Maximum number of changed texts in a page.
BLOCKS = 20
#: They do less: ours also extracts the page, before to locate the changes and after to check them.
CHEERIO, TREE = "cheerio, the page serialised", "turbohtml, the page serialised"


class Asked(Struct, frozen=True):
    """A page for a peer: CSS selectors, and the new text of each element."""

    path: str
    texts: list[tuple[str, str]]


def applying(size: Size) -> Iterator[Row]:
    """Apply changes to real pages."""
    paths = real_pages(size)
    if not paths:
        return
    paths = paths[::6] if size.quick else paths
    say(f"apply: {len(paths):,} real pages of {', '.join(PACKAGES)}")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=SCRATCH) as folder:
        asked = Path(folder) / "asked"
        wanted = [page for path in paths if (page := _asked(path)) is not None]
        asked.write_bytes(b"\n".join(map(msgspec.json.encode, wanted)))
        peers = {TREE: _through_tree}
        if (_PEERS / "node_modules").is_dir() and shutil.which("node"):
            peers[CHEERIO] = _through_cheerio
        else:
            say("apply: `make peers` installs cheerio (Node.js); not measured")
        ours: list[Figures] = []

        def applied() -> float:
            ours.append(_ours(paths))
            return ours[-1].seconds

        contenders: dict[str, Callable[[], float]] = {"ours": applied}
        contenders |= {name: partial(peer, asked) for name, peer in peers.items()}
        seconds = in_turn(contenders, size.runs(5), warm_ups=0)
        lost = {name: _share_lost(wanted, Path(folder), peer) for name, peer in peers.items()}
    figures = ours[-1]
    rate = {name: figure.per_second(figures.pages) for name, figure in seconds.items()}
    what = f"apply up to {BLOCKS} changes a page, {figures.pages:,} real pages"
    for name in peers:
        yield higher(what, rate["ours"], rate[name], name)
    yield within(f"{what}: changes that were made, of {figures.changes:,}", _percent(figures.share_applied))
    share = _percent(figures.share_outside)
    for name in peers:
        yield Row(
            f"{what}: bytes of tags and texts outside the changed blocks that differ, of {figures.bytes:,}",
            share,
            lost[name],
            f"{name}; pages in UTF-8",
            target="0 %",
            reached=figures.outside == 0,
        )


BENCHMARKS: dict[str, Callable[[Size], Iterator[Row]]] = {"apply": applying}


def _percent(share: float) -> Figure:
    return Figure("%", (100 * share,))


def _asked(path: str) -> Asked | None:
    asked = ask(Path(path), most_blocks=BLOCKS)
    if asked is None:
        return None
    return Asked(path, [(asked.page.selector_map[change.id], change.optimized_content) for change in asked.changes])


# --- contenders ---------------------------------------------------------------------------------------------


def _ours(paths: Sequence[str]) -> Figures:
    output = _output_of([sys.executable, "-m", "benchmarks.apply", "ours"], "\n".join(paths))
    return msgspec.json.decode(output, type=Figures)


def _through_tree(asked: Path, folder: Path | None = None) -> float:
    return _rewritten([sys.executable, "-m", "benchmarks.apply", "tree"], asked, folder)


def _through_cheerio(asked: Path, folder: Path | None = None) -> float:
    return _rewritten(["node", str(_PEERS / "rewrite.mjs")], asked, folder)


def _rewritten(command: Sequence[str], asked: Path, folder: Path | None) -> float:
    output = _output_of([*command, str(asked), *([str(folder)] if folder else [])])
    return msgspec.json.decode(output, type=dict[str, float])["seconds"]


def _output_of(command: Sequence[str], stdin: str = "") -> bytes:
    done = subprocess.run(
        command, input=stdin.encode(), stdout=subprocess.PIPE, check=True, env=environment(), cwd=_ROOT
    )
    return done.stdout


def rewrite(asked: Path, folder: Path | None) -> float:
    """Set texts in the tree of each page and serialise it; return the seconds."""
    lines = [msgspec.json.decode(line, type=Asked) for line in asked.read_bytes().splitlines()]
    pages = [(Path(line.path).read_bytes(), line.texts) for line in lines]
    started = time.perf_counter()
    made = [_rewrite(html, texts) for html, texts in pages]
    seconds = time.perf_counter() - started
    if folder is not None:
        for number, html in enumerate(made):
            (folder / str(number)).write_bytes(html)
    return seconds


def _rewrite(html: bytes, texts: Iterable[tuple[str, str]]) -> bytes:
    page = parse(html, scripting=True)
    # Select all elements first: setting a text removes the elements within.
    for element, text in [(page.select(selector)[0], text) for selector, text in texts]:
        if element.tag == "img":
            element.attrs["alt"] = text
        else:
            element.set_text(text)
    return page.serialize().encode()


# --- what else changes --------------------------------------------------------------------------------------


def _share_lost(wanted: Sequence[Asked], parent: Path, peer: Callable[[Path, Path], float]) -> Figure:
    """Return the percentage of bytes that a peer changes beyond the requested texts."""
    readable = [page for page in wanted if _is_utf8(Path(page.path).read_bytes())]
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        asked = Path(folder) / "asked"
        asked.write_bytes(b"\n".join(map(msgspec.json.encode, readable)))
        peer(asked, Path(folder))
        lost = whole = 0
        for number, page in enumerate(readable):
            before = Path(page.path).read_bytes()
            whole += len(before)
            lost += _lost(before, (Path(folder) / str(number)).read_bytes(), [selector for selector, _ in page.texts])
    return _percent(lost / max(1, whole))


def _is_utf8(html: bytes) -> bool:
    try:
        html.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lost(before: bytes, after: bytes, selectors: Iterable[str]) -> int:
    """Return the bytes of tags and texts outside the changed blocks that no longer occur in the page."""
    spans = spans_of(before, selectors)
    outside: Counter[bytes] = Counter()
    place = 0
    for piece in MARKUP.split(before):
        end = place + len(piece)
        if not any(start <= end and place <= stop for start, stop in spans):
            outside[piece] += 1
        place = end
    outside -= Counter(MARKUP.split(after))
    return sum(len(piece) * times for piece, times in outside.items())


def _contend(contender: str, *arguments: str) -> None:
    if contender == "ours":
        result: object = measure(map(Path, sys.stdin.read().splitlines()), most_blocks=BLOCKS)
    else:
        asked, *folders = map(Path, arguments)
        result = {"seconds": rewrite(asked, folders[0] if folders else None)}
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    _contend(*sys.argv[1:])
