"""Extraction of real sites, HTML to JSON in memory, compared with the parser alone and with other tools.

`python -m benchmarks.extract CONTENDER < paths` runs one contender in its own process: it reads the files, warms up on
up to 200 pages, measures all pages once, and prints the seconds.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from turbohtml import parse

from benchmarks.sites import REAL_SITES, SCRATCH
from benchmarks.timing import Figure, Row, environment, higher, in_turn, say, within
from nimbus_tasks.html.extract import Rules, extract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.timing import Size

#: Sphinx, Apache's own generator, hand-written: 2,124 pages, 94 MB.
PACKAGES = ("python3.11-doc", "apache2-doc", "sqlite3-doc")
_PEERS = Path(__file__).parent / "peers"
_WARM_UP = 200


# --- contenders, each in a process of its own -----------------------------------------------------------------


def parse_only(paths: list[str]) -> float:
    """Return the seconds that the parser takes."""
    pages = [Path(path).read_bytes() for path in paths]
    return _timed(lambda page: parse(page, scripting=True, positions=False), pages)


def extract_to_json(paths: list[str]) -> float:
    """Return the seconds from bytes to JSON."""
    pages = [Path(path).read_bytes() for path in paths]
    return _timed(_to_json, pages)


def extract_files(paths: list[str], workers: int) -> float:
    """Return the seconds from files to JSON with this many processes."""
    turns = [paths[start : start + 25] for start in range(0, len(paths), 25)]
    with get_context("fork").Pool(workers) as pool:
        pool.map(_files_to_json, turns[:8], chunksize=1)
        started = time.perf_counter()
        for _ in pool.imap_unordered(_files_to_json, turns):
            pass
        return time.perf_counter() - started


def _files_to_json(paths: list[str]) -> int:
    return sum(_to_json(Path(path).read_bytes()) for path in paths)


def _to_json(html: bytes) -> int:
    return len(msgspec.json.encode(extract("site/page.html", html, Rules())))


def _timed(work: Callable[[bytes], object], pages: list[bytes]) -> float:
    for page in pages[:_WARM_UP]:
        work(page)
    started = time.perf_counter()
    for page in pages:
        work(page)
    return time.perf_counter() - started


_CONTENDERS: dict[str, Callable[[list[str]], float]] = {
    "parse": parse_only,
    "extract": extract_to_json,
    "one": lambda paths: extract_files(paths, 1),
    "two": lambda paths: extract_files(paths, 2),
}


# --- benchmarks ---------------------------------------------------------------------------------------------


def extraction(size: Size) -> Iterator[Row]:
    """Measure pages a second on one core, compared with the parser alone, and on two; memory."""
    paths = real_pages(size)
    if not paths:
        return
    say(f"extract: {len(paths):,} real pages of {', '.join(PACKAGES)}")
    peaks: list[float] = []
    seconds = in_turn(
        {
            "parse": lambda: _seconds("parse", paths),
            "extract": lambda: _seconds("extract", paths),
            "one": lambda: _seconds("one", paths),
            "two": lambda: _seconds("two", paths, peaks),
        },
        size.runs(7),
        warm_ups=0,
    )
    rate = {name: figure.per_second(len(paths)) for name, figure in seconds.items()}
    yield within("extract to JSON, one core", rate["extract"], at_least=1000)
    ratio = rate["parse"].median / rate["extract"].median
    yield Row(
        "extract to JSON, time beside parsing alone",
        rate["extract"],
        rate["parse"],
        "turbohtml parse",
        ratio,
        "at most 3 x",
        ratio <= 3,
    )
    yield higher("extract files to JSON, two processes", rate["two"], rate["one"], "one process", 1.7)
    yield within("extract files to JSON, peak memory of a process", Figure("MB", tuple(peaks)), below=200)


def peers(size: Size) -> Iterator[Row]:
    """Compare pages a second with other tools that read built sites."""
    paths = real_pages(size)
    if not paths:
        return
    if not (_PEERS / "node_modules").is_dir() or not shutil.which("node"):
        say("extract: `make peers` installs the peers (Node.js); not measured")
        return
    runs = 3
    say("extract: cheerio and pagefind on the same pages")
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=_made(SCRATCH)) as folder:
        site = _copied(paths, Path(folder) / "site")
        seconds = in_turn(
            {
                "extract": lambda: _seconds("extract", paths),
                "cheerio": lambda: _cheerio(paths),
                "two": lambda: _seconds("two", paths),
                "pagefind": lambda: _pagefind(site, Path(folder) / "index"),
            },
            runs,
            warm_ups=0,
        )
    rate = {name: figure.per_second(len(paths)) for name, figure in seconds.items()}
    yield higher("extract to JSON, one core", rate["extract"], rate["cheerio"], "cheerio, the same work", 5)
    yield higher(
        "extract files to JSON, two processes", rate["two"], rate["pagefind"], "pagefind, indexing, all cores", 4
    )


BENCHMARKS = {"extract": extraction, "extract-peers": peers}


def real_pages(size: Size) -> list[str]:
    found = [
        str(path)
        for package in PACKAGES
        for path in sorted((REAL_SITES / package).rglob("*.html"))
        if path.is_file() and not path.is_symlink()
    ]
    if not found:
        say(f"No real sites in {REAL_SITES}; `make sites` fetches them; not measured")
    return found[::4] if size.quick else found


def _seconds(contender: str, paths: list[str], peaks: list[float] | None = None) -> float:
    output = _output_of([sys.executable, "-m", "benchmarks.extract", contender], paths)
    if peaks is not None:
        peaks.append(output["peak_mb"])
    return output["seconds"]


def _cheerio(paths: list[str]) -> float:
    return _output_of(["node", str(_PEERS / "cheerio.mjs")], paths)["seconds"]


def _pagefind(site: Path, index: Path) -> float:
    """Return the seconds of the whole run, in which pagefind reads files and writes an index."""
    started = time.perf_counter()
    command = [_PEERS / "node_modules" / ".bin" / "pagefind", "--site", site, "--output-path", index]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"pagefind ended with {done.returncode}:\n{done.stdout}")
    return time.perf_counter() - started


def _output_of(command: list[str], paths: list[str]) -> dict[str, float]:
    done = subprocess.run(
        command,
        input="\n".join(paths).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env=environment(),
        cwd=Path(__file__).parent.parent,
    )
    return msgspec.json.decode(done.stdout, type=dict[str, float])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _copied(paths: list[str], site: Path) -> Path:
    for number, path in enumerate(paths):
        page = site / f"{number // 100}" / f"{number}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, page)
    return site


def _contend(contender: str) -> None:
    seconds = _CONTENDERS[contender](sys.stdin.read().splitlines())
    who = resource.RUSAGE_CHILDREN if contender in {"one", "two"} else resource.RUSAGE_SELF
    peak = resource.getrusage(who).ru_maxrss / 1024
    print(msgspec.json.encode({"seconds": seconds, "peak_mb": peak}).decode())


if __name__ == "__main__":
    _contend(sys.argv[1])
