"""The sites to measure: generated ones, the same on every machine, and real ones from Debian packages."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from benchmarks.timing import doit, run
from nimbus_tasks.model import keys
from nimbus_tasks.project import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE = Path(__file__).parent.parent / ".cache"
#: Where `make sites` unpacks Debian's documentation packages.
REAL_SITES = Path(os.environ.get("NIMBUS_REAL_SITES") or _CACHE / "sites").absolute()
#: Generated sites go on a disk, as projects do: /tmp is in memory on many machines.
SCRATCH = Path(os.environ.get("TMPDIR") or _CACHE / "bench").absolute()

SOURCE = "dist"
_BATCH_SIZE = re.compile(r"^# max_pages_per_batch = \d+", re.MULTILINE)
PAGES_A_FOLDER = 100
_SEED = 20240902
_WORDS = (  # noqa: SIM905 - sixty quoted words would be harder to read
    "watch repair service movement oil crystal crown steel strap console controller stick drift battery screen "
    "camera lens shutter sensor clean polish adjust replace original part warranty month price quote local city "
    "shop hour open weekday appointment before after customer report test pressure water seal spring balance "
    "wheel escapement hand dial bezel clasp bracelet link pin gold leather quartz automatic chronograph"
).split()


class Page(Struct, frozen=True):
    """The shape of a generated page. flawed: no description, images without alternative text, a doubled comma."""

    name: str
    sections: int
    paragraphs: int
    list_rows: int
    words: int
    flawed: bool = False


#: Like a real page: of 5,119 pages of ten generators the median has 11.7 kB and 103 blocks; these, 11.9 and 106.
TYPICAL = Page("typical", sections=8, paragraphs=3, list_rows=4, words=11)
#: 1.4 kB and 7 blocks: for sites of which only the number of pages counts.
SMALL = Page("small", sections=1, paragraphs=2, list_rows=2, words=10)
#: Like typical, with mistakes to correct.
FLAWED = Page("flawed", sections=8, paragraphs=3, list_rows=4, words=11, flawed=True)


class Site(Struct, frozen=True):
    """A project in `folder` with `pages` pages under `dist/`."""

    folder: Path
    pages: int
    page: Page

    @property
    def source(self) -> Path:
        return self.folder / SOURCE

    @property
    def state(self) -> Path:
        return self.folder / ".nimbus"

    def path_of(self, number: int) -> Path:
        return self.source / _name(number)

    def allow_one_batch(self) -> None:
        """Allow all pages in one batch; the default is 1,000."""
        file = self.folder / settings.PROJECT_FILE
        text, times = _BATCH_SIZE.subn(f"max_pages_per_batch = {self.pages}", file.read_text(encoding="utf-8"))
        if times != 1:
            sys.exit(f"{file} does not set max_pages_per_batch")
        file.write_text(text, encoding="utf-8")

    def edit(self, number: int, revision: int) -> None:
        """Change a line of one page in place, as an editor does."""
        self.path_of(number).write_bytes(_html(number, self.page, _words_of(number), revision))

    def forget(self, *names: str) -> None:
        """Remove these files and folders in `.nimbus/`."""
        for name in names:
            for path in self.state.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def key_of(self, number: int) -> str:
        """Return the key of one page's record in the store."""
        project_id = settings.load(self.folder).project.id
        return keys.page_key(project_id, keys.page_id(project_id, f"{SOURCE}/{_name(number)}"))

    def describe(self) -> str:
        """Return the size of a page, for the table."""
        return f"{len(_html(1, self.page, _words_of(1), 0)) / 1000:.1f} kB"


@contextlib.contextmanager
def made(pages: int, page: Page) -> Iterator[Site]:
    """Generate a project with a site, and remove it at the end."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nimbus-bench-", dir=SCRATCH) as folder:
        site = Site(Path(folder), pages, page)
        _write(site)
        (site.folder / "dodo.py").write_text("from nimbus_tasks import *\n", encoding="utf-8")
        run(doit("nimbus:project:init", "--name=bench", f"--source={SOURCE}", "--nested"), site.folder)
        yield site


def _write(site: Site) -> None:
    for number in range(site.pages):
        path = site.path_of(number)
        if number % PAGES_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        with open(path, "wb") as file:
            file.write(_html(number, site.page, _words_of(number), 0))


def _name(number: int) -> str:
    return f"section-{number // PAGES_A_FOLDER:04}/page-{number:06}.html"


def _words_of(number: int) -> random.Random:
    return random.Random(_SEED + number)


def _html(number: int, page: Page, chance: random.Random, revision: int) -> bytes:
    # One random draw for each page, then slices of it: 100,000 pages take seconds.
    pool = chance.choices(_WORDS, k=1000)
    taken = 0

    def words(count: int) -> str:
        nonlocal taken
        taken = (taken + count * 7 + 1) % (len(pool) - count)
        return " ".join(pool[taken : taken + count])

    title = f"{words(3).title()} {number}"
    description = f'<meta name="description" content="{words(12)}">\n'
    parts = [
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"{'' if page.flawed else description}"
        f'<link rel="canonical" href="https://example.com/{_name(number)}">\n'
        f'<link rel="stylesheet" href="/style.css">\n</head>\n<body>\n'
        '<header><nav><ul><li><a href="/">Home</a></li><li><a href="/prices.html">Prices</a></li>'
        f'</ul></nav></header>\n<main id="content">\n<h1>{title}</h1>\n<p class="lead">Revision {revision}: '
        f"{words(page.words)}{',, ' + words(3) if page.flawed else ''}</p>\n"
    ]
    for section in range(page.sections):
        parts.append(f'<section id="s{section}" class="section block">\n<h2>{words(4)}</h2>\n')
        parts += [
            f'<p class="text">{words(page.words)} <a href="/{words(1)}.html">{words(2)}</a> {words(page.words)}'
            f" <em>{words(2)}</em>.</p>\n"
            for _ in range(page.paragraphs)
        ]
        rows = "".join(f"<li>{words(page.words)}</li>\n" for _ in range(page.list_rows))
        parts.append(f'<ul class="points">\n{rows}</ul>\n')
        if page.sections > 1:
            cells = "".join(f"<tr><th>{words(2)}</th><td>{words(5)}</td></tr>\n" for _ in range(2))
            image, seen = f"/{words(1)}.jpg", words(4)
            alt = "" if page.flawed else f' alt="{seen}"'
            parts.append(f'<table class="prices">\n{cells}</table>\n<img src="{image}"{alt}>\n')
        parts.append("</section>\n")
    parts.append("</main>\n<footer><p>Swiss Watch Repair, 12 Main Street</p></footer>\n</body>\n</html>\n")
    return "".join(parts).encode()
