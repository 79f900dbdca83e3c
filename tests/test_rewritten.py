"""Pages that a generator writes anew, mostly as they were; and manifests that a process keeps from run to run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.pipeline.pipeline import Pipeline
from nimbus_tasks.project import manifest
from nimbus_tasks.project.manifest import Sources
from nimbus_tasks.project.scan import stamp_of
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.pipeline.extract import Extraction

PAGE = '<!doctype html><html lang="en"><head><title>{0}</title></head><body><main><h1>{0}</h1></main></body></html>'
SETTINGS = '[project]\nid = "proj_0123456789ab"\nname = "x"\ncreated = "2026-01-02T03:04:05.678Z"\n'
A, MAP_OF_A = "dist/a.html", Path(".nimbus/maps/dist/a.html.json")


class _Silent:
    def advance(self, steps: int = 1) -> None:
        pass


@pytest.fixture(autouse=True)
def _extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PROJECT_FILE).parent.mkdir()
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\n')
    Path("dist").mkdir()
    Path(A).write_text(PAGE.format("One"))
    extract()


def extract() -> Extraction:
    return Pipeline().extract(lambda _: contextlib.nullcontext(_Silent()))


def entry() -> manifest.SourceEntry:
    return manifest.read_sources(Path()).entries[A]


def test_a_page_that_is_written_as_it_was_keeps_its_map_and_counts_as_seen() -> None:
    before = MAP_OF_A.stat().st_mtime_ns
    Path(A).write_text(PAGE.format("One"))
    done = extract()
    assert (done.read, done.written, done.removed) == (1, (), ())
    assert entry().stamp == stamp_of(Path(A).stat())
    assert MAP_OF_A.stat().st_mtime_ns == before
    assert Pipeline().sources.nothing_to_do


def test_other_content_of_the_same_size_is_a_change() -> None:
    Path(A).write_text(PAGE.format("Two"))
    assert extract().written == (str(MAP_OF_A),)
    assert b"Two" in MAP_OF_A.read_bytes()


def test_a_map_that_went_is_made_again_whatever_the_page_says() -> None:
    MAP_OF_A.unlink()
    Path(A).write_text(PAGE.format("One"))
    assert extract().written == (str(MAP_OF_A),)


def test_other_rules_read_every_page_again() -> None:
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\n[dimensions.constants]\nbrand = "x"\n')
    Path(A).write_text(PAGE.format("One"))
    assert extract().written == (str(MAP_OF_A),)


def test_a_manifest_of_an_earlier_version_has_no_digests_and_is_read_all_the_same() -> None:
    known = manifest.read_sources(Path())
    assert known.entries[A].digest
    known.entries[A].digest = ""
    manifest.write(Path(), manifest.SOURCES, known)
    Path(A).write_text(PAGE.format("One"))
    assert extract().read == 1
    assert entry().digest


def test_a_kept_manifest_is_read_again_when_another_process_replaced_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_kept", None)
    manifest.keep_in_memory()
    manifest.keep_in_memory()
    first = manifest.read_sources(Path())
    assert manifest.read_sources(Path()) is first
    ours = Sources(rules="ours")
    manifest.write(Path(), manifest.SOURCES, ours)
    assert manifest.read_sources(Path()) is ours
    beside = Path("beside")
    beside.write_bytes(Path(manifest.SOURCES).read_bytes().replace(b"ours", b"four"))
    os.utime(beside, ns=(0, Path(manifest.SOURCES).stat().st_mtime_ns))
    beside.replace(manifest.SOURCES)
    assert manifest.read_sources(Path()).rules == "four"
    Path(manifest.SOURCES).unlink()
    assert manifest.read_sources(Path()) == Sources()
