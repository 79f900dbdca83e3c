"""`python -m benchmarks.quality [--pages N] [--only NAME] [--json FILE]`: judge extraction in a browser.

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.quality.contenders import CONTENDERS, Kept
from benchmarks.quality.reference import Reference, fetch, references, resolved
from benchmarks.quality.score import score, tokens
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


class Mistakes(Struct):
    """What must not happen, counted on our maps."""

    selectors: int = 0
    wrong_selectors: int = 0
    text_twice: int = 0
    head_facts: int = 0
    wrong_head_facts: int = 0
    empty_pages: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, default=60, help="at most so many pages of a site (60)")
    parser.add_argument("--only", default="", help="sites whose name contains this")
    parser.add_argument("--held-out", action="store_true", help="the sites that nothing was tuned on")
    parser.add_argument("--ours", action="store_true", help="without the other tools")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="name the N worst pages of each site")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    asked = parser.parse_args()
    results: list[Result] = []
    mistakes = Mistakes()
    tools = list(CONTENDERS)[:1] if asked.ours else list(CONTENDERS)
    choice = HELD_OUT if asked.held_out else SITES
    sites = [site for site in choice if asked.only.lower() in site.name.lower()]
    if not sites:
        parser.error(f"no site has {asked.only!r} in its name. Choose from: {', '.join(site.name for site in choice)}")
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
                _count_mistakes(site, judged, kept, mistakes)
                _name_worst(judged, kept, asked.worst)
    if not results:
        sys.exit("No site could be fetched: is there a mirror of Debian (apt-get), and npm?")
    print(_tables(results, mistakes))
    if asked.json:
        asked.json.write_bytes(msgspec.json.encode({"results": results, "mistakes": mistakes}))
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


def _count_mistakes(site: Site, judged: Sequence[Reference], kept: Sequence[Kept], mistakes: Mistakes) -> None:
    maps = {page.path: one.page for page, one in zip(judged, kept, strict=True) if isinstance(one.page, PageMap)}
    mistakes.empty_pages += sum(not page.selector_map for page in maps.values())
    selectors = {path: list(page.selector_map.values()) for path, page in maps.items()}
    for path, found in resolved(site, selectors).items():
        page = maps[path]
        owners: dict[str, int] = defaultdict(int)
        for block, (count, text) in zip(page.above_fold_blocks + page.rest_of_page_blocks, found, strict=True):
            mistakes.selectors += 1
            mistakes.wrong_selectors += count != 1 or not tokens(block.content) <= tokens(text)
            owners[page.selector_map[block.id]] += 1
        mistakes.text_twice += sum(count - 1 for count in owners.values())
    for reference in judged:
        if reference.path in maps:
            head = maps[reference.path].head
            for name in ("title", "metaDescription", "lang"):
                mistakes.head_facts += 1
                mistakes.wrong_head_facts += tokens(head.get(name, "")) != tokens(reference.head[name])


def _name_worst(judged: Sequence[Reference], kept: Sequence[Kept], number: int) -> None:
    scored = sorted(
        (score(one.text, page.text, page.optional).f, page.path, one.page)
        for one, page in zip(kept, judged, strict=True)
    )
    for f, path, page in scored[:number]:
        say(f"    {f:.3f} {path}: {page.main_selector if isinstance(page, PageMap) else page}")


def _tables(results: Sequence[Result], mistakes: Mistakes) -> str:
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
        f"Selectors wrong: {mistakes.wrong_selectors} of {mistakes.selectors:,}. Text twice: {mistakes.text_twice}. "
        f"Head facts wrong: {mistakes.wrong_head_facts} of {mistakes.head_facts:,}. "
        f"Pages without a block: {mistakes.empty_pages}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
