"""Which files of a site changed: discovery and the plan of the upload, beside `sha256sum` on both cores.

The site has 20,000 files of 20 kB in 100 folders, which 500 pages refer to. Each turn hashes them with `xargs -P2
sha256sum`, then with `discover` and an empty ledger (cold), then plans the upload of what did not change. All files are
in the disk cache. Processor time is of our process; that of `sha256sum` is of all its processes.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks.sites import SCRATCH
from benchmarks.timing import Figure, Row, Size, against, doit, faster, run, say
from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.assets import AssetStage
from nimbus_tasks.project.settings import Assets, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILES, QUICK_FILES, A_PAGE, A_FOLDER, BYTES = 20_000, 4_000, 40, 200, 20_000
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (800).to_bytes(4) + (600).to_bytes(4) + b"\x08\x02\0\0\0"
_SHA256SUM = f"find dist -name '*.png' -print0 | xargs -0 -P2 -n{A_FOLDER} sha256sum > /dev/null"


class Taken(NamedTuple):
    """Seconds by the clock, and of the processors."""

    wall: float
    cpu: float


def discovering(size: Size) -> Iterator[Row]:
    """Look for changed files where all are new, and where none is."""
    files, runs = (QUICK_FILES, 3) if size.quick else (FILES, 5)
    say(f"discovering: {files:,} files of 20 kB")
    with _published(files) as settings:
        contenders = {
            "sha256sum": _sha256sum,
            "cold": lambda: _cold(settings, files),
            "unchanged": lambda: _unchanged(settings),
        }
        taken: dict[str, list[Taken]] = {name: [] for name in contenders}
        for _ in range(runs):
            for name, measure in contenders.items():
                taken[name].append(measure())
                say(f"  {name}: {taken[name][-1]}")
    wall = {name: Figure("s", tuple(each.wall for each in some)) for name, some in taken.items()}
    cpu = {name: Figure("ms", tuple(1000 * each.cpu for each in some)) for name, some in taken.items()}
    what, beside = f"{files:,} files of 20 kB", "xargs -P2 sha256sum"
    yield against(f"{what}, new: discovery", wall["cold"], wall["sha256sum"], beside, 1.5)
    yield faster(f"{what}, unchanged: discovery and plan", wall["unchanged"], wall["sha256sum"], beside, 10)
    yield against("processor time, new", cpu["cold"], cpu["sha256sum"], beside)
    yield faster("processor time, unchanged", cpu["unchanged"], cpu["sha256sum"], beside)


@contextlib.contextmanager
def _published(files: int) -> Iterator[Settings]:
    """Make a site, publish it, and work in its project."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    before, project = Path.cwd(), Path(tempfile.mkdtemp(prefix="nimbus-bench-", dir=SCRATCH))
    try:
        os.chdir(project)
        for first in range(0, files, A_PAGE):
            _write_page(Path(f"dist/{first // A_FOLDER:03}"), first)
        Path("dodo.py").write_text("from nimbus_tasks import *\n", encoding="utf-8")
        run(doit("nimbus:project:init", "--source=dist", "--nested"), project)
        settings = msgspec.structs.replace(load(project), assets=Assets(store="folder"))
        run(doit("extract"), project)
        run(doit("validate"), project)
        with AssetStage(settings) as stage:
            done = stage.upload(stage.changes(silently), Connection(), _Silent())
        assert done.uploaded == files, done
        yield settings
    finally:
        os.chdir(before)
        shutil.rmtree(project)


def _write_page(folder: Path, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(first, first + A_PAGE):
        picture = _PNG + random.Random(number).randbytes(BYTES - len(_PNG))
        (folder / f"{number:05}.png").write_bytes(picture)
        images.append(f'<img src="{number:05}.png" alt="Picture {number}">')
    html = f"<!doctype html><html lang=en><title>Page {first}</title><main><h1>Pictures</h1>{''.join(images)}</main>"
    (folder / f"{first:05}.html").write_text(html, encoding="utf-8")


class _Silent:
    """An observer that ignores everything."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


def _sha256sum() -> Taken:
    began, before = time.perf_counter(), os.times()
    subprocess.run(_SHA256SUM, shell=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(time.perf_counter() - began, cpu)


def _cold(settings: Settings, files: int) -> Taken:
    """Read all files; where they are stored is known nevertheless."""
    with AssetStage(settings) as stage:
        with stage.ledger.transaction():
            stage.ledger.write("DELETE FROM file")
        taken = _timed(lambda: stage.discover(silently).hashed == files)
        assert stage.is_current()
    return taken


def _unchanged(settings: Settings) -> Taken:
    def is_current() -> bool:
        with AssetStage(settings) as stage:
            return stage.is_current()

    return _timed(is_current)


def _timed(work: Callable[[], bool]) -> Taken:
    began, cpu = time.perf_counter(), time.process_time()
    assert work()
    return Taken(time.perf_counter() - began, time.process_time() - cpu)


BENCHMARKS = {"discover": discovering}
