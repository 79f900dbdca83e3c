"""`python -m benchmarks.quality [--pages N] [--only NAME] [--json FILE]`: judge extraction in a browser.

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.quality.contenders import CONTENDERS, Kept
from benchmarks.quality.kept import Counts, count
from benchmarks.quality.reference import Reference, fetch, has_common_fonts, references, resolved
from benchmarks.quality.score import score
from benchmarks.quality.sites import HELD_OUT, SITES
from benchmarks.timing import machine, say
from nimbus_tasks.model.page_map import PageMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.quality.sites import Site

WINDOWS = ("1280x800", "390x844")


class Result(Struct):
    """One tool on one site: means over the pages. `folds`: F above the fold of each window, where the tool tells."""

    site: str
    tool: str
    pages: int
    f: float
    extra: float
    folds: list[float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, default=60, help="at most so many pages of a site (60)")
    parser.add_argument("--only", default="", help="sites whose name contains this")
    parser.add_argument("--held-out", action="store_true", help="the sites that nothing was tuned on")
    parser.add_argument("--ours", action="store_true", help="without the other tools")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="name N bad pages and mistakes a site")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    asked = parser.parse_args()
    results: list[Result] = []
    counts = Counts()
    tools = list(CONTENDERS)[:1] if asked.ours else list(CONTENDERS)
    choice = HELD_OUT if asked.held_out else SITES
    sites = [site for site in choice if asked.only.lower() in site.name.lower()]
    if not sites:
        parser.error(f"no site has {asked.only!r} in its name. Choose from: {', '.join(site.name for site in choice)}")
    if not has_common_fonts():
        say("Folds are judged with other fonts than visitors have: install Debian's fonts-liberation.")
    for site in sites:
        if not fetch(site):
            continue
        judged = references(site, site.pages(asked.pages))
        pages = [site.root / reference.path for reference in judged]
        for tool in tools:
            kept = list(CONTENDERS[tool](site.root, pages))
            results.append(_result(site, tool, judged, kept))
            say(f"  {site.name}: {tool} {results[-1].f:.3f}, {results[-1].extra:.1%}")
            if tool == tools[0]:
                _count(site, judged, kept, counts, named=asked.worst)
                _name_worst(judged, kept, asked.worst)
    if not results:
        sys.exit("No site could be fetched: is there a mirror of Debian (apt-get), and npm?")
    print(_tables(results, counts))
    if asked.json:
        asked.json.write_bytes(msgspec.json.encode({"results": results, "counts": counts}))
    return 0


def _result(site: Site, tool: str, judged: Sequence[Reference], kept: Sequence[Kept]) -> Result:
    scores = [score(one.text, page.text, page.optional) for one, page in zip(kept, judged, strict=True)]
    folds = [
        statistics.fmean(
            score(one.above[window], page.folds[window].text, page.folds[window].optional).f
            for one, page in zip(kept, judged, strict=True)
        )
        for window in range(len(WINDOWS) if kept and kept[0].above else 0)
    ]
    total = sum(one.kept for one in scores)
    extra = sum(one.extra for one in scores) / total if total else 0.0
    return Result(site.name, tool, len(judged), statistics.fmean(one.f for one in scores), extra, folds)


def _count(site: Site, judged: Sequence[Reference], kept: Sequence[Kept], counts: Counts, *, named: int) -> None:
    maps = {
        page.path: (page, one.page) for page, one in zip(judged, kept, strict=True) if isinstance(one.page, PageMap)
    }
    selectors = {path: list(page.selector_map.values()) for path, (_, page) in maps.items()}
    for shown in resolved(site, selectors):
        reference, page = maps[shown.path]
        for mistake in count(page, reference, shown, counts):
            if named > 0:
                say(f"    {shown.path}: {mistake}")
                named -= 1


def _name_worst(judged: Sequence[Reference], kept: Sequence[Kept], number: int) -> None:
    scored = sorted(
        (score(one.text, page.text, page.optional).f, page.path, one.page)
        for one, page in zip(kept, judged, strict=True)
    )
    for f, path, page in scored[:number]:
        say(f"    {f:.3f} {path}: {page.main_selector if isinstance(page, PageMap) else page}")


def _tables(results: Sequence[Result], counts: Counts) -> str:
    where = machine()
    lines = [f"{where.date}: {where.cpu}, {where.cores} cores, {where.python}.", ""]
    lines += [
        "| tool | text F, macro | worst site | boilerplate, macro | worst site | fold F " + " / ".join(WINDOWS) + " |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for tool in dict.fromkeys(result.tool for result in results):
        rows = [result for result in results if result.tool == tool]
        folds = " / ".join(
            f"{statistics.fmean(row.folds[window] for row in rows):.3f}" for window in range(len(rows[0].folds))
        )
        fs, extras = [row.f for row in rows], [row.extra for row in rows]
        lines.append(
            f"| {tool} | {statistics.fmean(fs):.3f} | {min(fs):.3f} "
            f"| {statistics.fmean(extras):.1%} | {max(extras):.1%} | {folds or '-'} |"
        )
    lines += ["", "| site | pages | " + " | ".join(dict.fromkeys(result.tool for result in results)) + " | fold |"]
    lines += ["|---|---|" + "---|" * (len({result.tool for result in results}) + 1)]
    for site in dict.fromkeys(result.site for result in results):
        rows = [result for result in results if result.site == site]
        texts = " | ".join(f"{row.f:.3f}, {row.extra:.1%}" for row in rows)
        lines.append(f"| {site} | {rows[0].pages} | {texts} | {' / '.join(f'{fold:.2f}' for fold in rows[0].folds)} |")
    lines += [
        "",
        f"Selectors wrong: {counts.wrong_selectors} of {counts.selectors:,}. Text twice: {counts.text_twice}. "
        f"Head facts wrong: {counts.wrong_head_facts} of {counts.head_facts:,}. "
        f"Pages without a block: {counts.empty_pages}.",
        f"Lost, of what the browser shows: {counts.lost_links} of {counts.links:,} links, "
        f"{counts.lost_cells} of {counts.cells:,} table cells (or their row, column or kind), "
        f"{counts.lost_items} of {counts.items:,} list items (or their kind or level).",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
