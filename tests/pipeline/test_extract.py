"""What extraction reads, and what it leaves alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline import extract as extracting
from nimbus_tasks.pipeline.snapshot import take_snapshot
from nimbus_tasks.project import manifest, settings
from nimbus_tasks.project.scan import stamp_of
from nimbus_tasks.project.settings import PROJECT_FILE

if TYPE_CHECKING:
    from nimbus_tasks.pipeline.extract import Extraction

PAGE = '<!doctype html><html lang="en"><head><title>{0}</title></head><body><main><h1>{0}</h1></main></body></html>'
SETTINGS = '[project]\nid = "proj_0123456789ab"\nname = "x"\ncreated = "2026-01-02T03:04:05.678Z"\n'
A, MAP_OF_A = "dist/a.html", Path(".nimbus/maps/dist/a.html.json")


@pytest.fixture(autouse=True)
def _extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PROJECT_FILE).parent.mkdir()
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\n')
    Path("dist").mkdir()
    Path(A).write_text(PAGE.format("One"))
    extract()


def extract() -> Extraction:
    loaded = settings.load(Path())
    return extracting.extract(loaded, take_snapshot(loaded), silently)[0]


def nothing_to_do() -> bool:
    loaded = settings.load(Path())
    return extracting.plan_extraction(loaded, take_snapshot(loaded)).nothing_to_do


def entry() -> manifest.SourceEntry:
    return manifest.read_sources().entries[A]


def test_a_page_that_is_written_as_it_was_keeps_its_map_and_counts_as_seen() -> None:
    before = MAP_OF_A.stat().st_mtime_ns
    Path(A).write_text(PAGE.format("One"))
    done = extract()
    assert (done.read, len(done.written), len(done.removed)) == (1, 0, 0)
    assert entry().stamp == stamp_of(Path(A).stat())
    assert MAP_OF_A.stat().st_mtime_ns == before
    assert nothing_to_do()


def test_other_content_of_the_same_size_is_a_change() -> None:
    Path(A).write_text(PAGE.format("Two"))
    assert extract().written == [str(MAP_OF_A)]
    assert b"Two" in MAP_OF_A.read_bytes()


def test_a_map_that_went_is_made_again_whatever_the_page_says() -> None:
    MAP_OF_A.unlink()
    Path(A).write_text(PAGE.format("One"))
    assert extract().written == [str(MAP_OF_A)]


def test_other_rules_read_every_page_again() -> None:
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\n[dimensions.constants]\nbrand = "x"\n')
    Path(A).write_text(PAGE.format("One"))
    assert extract().written == [str(MAP_OF_A)]


def test_a_page_whose_digest_is_not_known_is_read() -> None:
    known = manifest.Manifest().sources
    assert known[A].digest
    known.put([(A, msgspec.structs.replace(known[A], digest=""))])
    Path(A).write_text(PAGE.format("One"))
    assert extract().read == 1
    assert entry().digest


def test_what_was_known_before_there_was_a_database_is_taken_over() -> None:
    """No page is read again, and one that went since then loses its map."""
    gone = manifest.SourceEntry((1, 1, 1), ".nimbus/maps/dist/gone.html.json", digest="0" * 32)
    former = {"rules": manifest.read_sources().rules, "entries": {A: entry(), "dist/gone.html": gone}}
    shutil.rmtree(".nimbus/manifest")
    Path(".nimbus/manifest").mkdir()
    Path(".nimbus/manifest/sources.json").write_bytes(msgspec.json.encode(former))
    Path(".nimbus/manifest/pages.json").write_text("{}")
    done = extract()
    assert (done.read, list(done.removed)) == (0, [gone.map_file])
    assert list(manifest.read_sources().entries) == [A]
    assert not list(Path(".nimbus/manifest").glob("*.json"))


def test_an_emptied_source_folder_is_an_error_and_removes_no_map() -> None:
    Path(A).unlink()
    assert not nothing_to_do()
    with pytest.raises(SourceError, match="holds no pages, and the site has 1"):
        extract()
    assert MAP_OF_A.exists()
    assert A in manifest.read_sources().entries


def test_a_selector_that_matches_on_no_page_is_told_when_every_page_was_read() -> None:
    rules = '[source]\nfolder = "dist"\nmain = "main"\nignore = [".nowhere"]\n'
    Path(PROJECT_FILE).write_text(SETTINGS + rules + '[dimensions.selectors]\nbrand = ".brand"\nheading = "h1"\n')
    assert extract().unmatched == ("ignore = .nowhere", "selectors.brand = .brand")
    Path(A).write_text(PAGE.format("Three"))
    assert extract().unmatched == ()  # a run over some pages cannot tell


def test_without_a_page_no_selector_can_be_judged() -> None:
    Path(A).write_text("")
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\nmain = ".nowhere"\n')
    assert extract().unmatched == ()
