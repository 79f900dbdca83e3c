"""Fetch the sites, and ask the browser what each page shows. Answers are kept in `.cache/quality`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from benchmarks.quality.sites import CACHE, Site
from benchmarks.timing import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JUDGE = Path(__file__).parents[1] / "peers" / "judge.mjs"


class Fold(Struct, frozen=True):
    """The words that begin above the fold of a window; `optional` ones may be kept or left out."""

    width: int
    height: int
    text: str
    optional: str


class Reference(Struct, frozen=True):
    """What the browser shows of a page."""

    path: str
    text: str
    optional: str
    folds: list[Fold]
    head: dict[str, str]
    encoding: str


class Shown(Struct, frozen=True):
    """What the browser finds with a page's selectors, and what an editor would miss.

    selectors: how many elements each finds, and the texts in the first, node by node.
    links: address and text. cells: row, column, whether it is a header, and the numbers of the selectors that find
    something in it. items: kind of the list, its level, and the numbers.
    """

    path: str
    selectors: list[tuple[int, list[str]]]
    links: list[tuple[str, str]]
    cells: list[tuple[int, int, bool, list[int]]]
    items: list[tuple[str, int, list[int]]]


def fetch(site: Site) -> bool:
    """Unpack the site's package into the cache; False, with a line, where that is not possible."""
    folder = CACHE / site.package
    if folder.is_dir():
        return True
    CACHE.mkdir(parents=True, exist_ok=True)
    command = f"apt-get -qq -o APT::Sandbox::User=root download {site.package} && dpkg -x *.deb out"
    scratch = folder.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    ended = subprocess.run(["sh", "-c", command], cwd=scratch, capture_output=True, text=True, check=False)
    if ended.returncode:
        why = (ended.stderr.strip() or "no reason given").splitlines()[-1]
        say(f"{site.name} is left out, as {site.package} cannot be downloaded: {why}")
        return False
    (scratch / "out").rename(folder)
    shutil.rmtree(scratch)
    return True


def has_common_fonts() -> bool:
    """Return whether the browser has letters as wide and high as those of most visitors: the fold depends on them."""
    try:
        found = subprocess.run(["fc-match", "Times New Roman"], stdout=subprocess.PIPE, text=True, check=False).stdout
    except OSError:
        return False
    return any(name in found for name in ("Times New Roman", "Liberation Serif", "Tinos"))


def references(site: Site, pages: Sequence[Path]) -> list[Reference]:
    """Return what the browser shows of these pages; none of those that redirect or (with a line) do not load."""
    wanted = msgspec.json.encode([site, [str(page) for page in pages]])
    key = hashlib.sha256(wanted + JUDGE.read_bytes()).hexdigest()[:16]
    cached = CACHE / f"reference-{key}.json"
    if not cached.exists():
        asked = {"container": site.container, "exclude": site.exclude, "optional": site.optional}
        answers = _judge(site, ({"path": str(page.relative_to(site.root)), **asked} for page in pages))
        for answer in answers:
            if "error" in answer:
                say(f"  {site.name}, {answer['path']}: {answer['error'].splitlines()[0]}")
        good = [answer for answer in answers if "text" in answer]
        cached.write_bytes(msgspec.json.encode(good))
    return msgspec.json.decode(cached.read_bytes(), type=list[Reference])


def resolved(site: Site, selectors: dict[str, list[str]]) -> list[Shown]:
    """Return what the browser finds with each page's selectors."""
    asked = {"container": site.container, "exclude": site.exclude, "optional": site.optional}
    requests = ({"path": path, "selectors": wanted, **asked} for path, wanted in selectors.items())
    return [msgspec.convert(answer, Shown) for answer in _judge(site, requests) if "selectors" in answer]


def _judge(site: Site, requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = b"".join(msgspec.json.encode({"root": str(site.root), **request}) + b"\n" for request in requests)
    ended = subprocess.run(["node", JUDGE], input=lines, stdout=subprocess.PIPE, check=False)
    if ended.returncode:
        sys.exit(f"{JUDGE.name} ended with {ended.returncode}")
    return [msgspec.json.decode(line) for line in ended.stdout.splitlines()]
