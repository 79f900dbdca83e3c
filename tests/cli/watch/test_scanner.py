"""A scan of the reported files finds what a scan of all files finds."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nimbus_tasks.cli.watch.scanner import Scanned, Scanner, folder_identity, role_of
from nimbus_tasks.model.errors import SourceError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline.extract import extract, plan_extraction
from nimbus_tasks.pipeline.snapshot import take_snapshot
from nimbus_tasks.pipeline.validate import plan_validation, validate
from nimbus_tasks.project import manifest
from nimbus_tasks.project.settings import PROJECT_FILE, Assets, BlobStoreName, Project, Settings, Source, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nimbus_tasks.pipeline.snapshot import Snapshot
    from nimbus_tasks.project.settings import Settings

PAGE = '<!doctype html><html lang="en"><head><title>{0}</title></head><body><main><h1>{0}</h1></main></body></html>'
SETTINGS = (
    '[project]\nid = "proj_0123456789ab"\nname = "x"\ncreated = "2026-01-02T03:04:05.678Z"\n[source]\nfolder = "dist"\n'
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)


class Watched:
    """The cycles of a watch without a target."""

    def __init__(self) -> None:
        self.settings = load(Path())
        self.scanner = Scanner()

    def cycle(self, paths: Iterable[str] = (), *, removals: bool = True) -> Scanned:
        what = self.scanner.classify(paths, self.settings)
        if what.whole:
            self.scanner.forget()
        scanned = self.scanner.scan(self.scanner.snapshot or take_snapshot(self.settings), what, removals=removals)
        self.scanner.keep(bring_up_to_date(self.settings, scanned.snapshot))
        return scanned


def bring_up_to_date(settings: Settings, snapshot: Snapshot) -> Snapshot:
    if not plan_extraction(settings, snapshot).nothing_to_do:
        _, snapshot = extract(settings, snapshot, silently)
    if not plan_validation(settings, snapshot).nothing_to_do:
        _, snapshot = validate(settings, snapshot, silently)
    return snapshot


def state() -> tuple[object, object]:
    """Return what the manifests and the maps say, less the times."""
    sources, pages = manifest.read_sources(), manifest.read_pages()
    known = {path: msgspec.structs.replace(entry, stamp=(0, 0, 0)) for path, entry in sources.entries.items()}
    judged = {path: msgspec.structs.replace(entry, stamp=(0, 0, 0)) for path, entry in pages.entries.items()}
    maps = {str(path): path.read_bytes() for path in Path(".nimbus/maps").rglob("*.json")}
    return (known, sources.skipped), (judged, pages.site, pages.invalid, maps)


def write(path: str, text: str) -> None:
    file = Path(path)
    if file.is_dir():
        shutil.rmtree(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(text)


def edit(kind: str, name: str) -> set[str]:
    """Change something below `dist`; return the paths that the operating system reports."""
    path = f"dist/{name}.html"
    existed = os.path.lexists(path)
    if kind == "write":
        write(path, PAGE.format(f"{name} {os.urandom(4).hex()}"))
    elif kind == "break":
        write(path, "<html><body><main><p>No title.</p></main></body></html>")
    elif kind == "link":
        Path(path).unlink(missing_ok=True)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).symlink_to("a.html")
    elif kind == "remove" and existed:
        Path(path).unlink()
    elif kind == "move folder" and Path("dist/deep").is_dir() and not Path("dist/moved").exists():
        Path("dist/deep").rename("dist/moved")
        return {"dist/deep", "dist/moved"}
    return {path}


edits = st.tuples(
    st.sampled_from(["write", "write", "break", "link", "remove", "move folder"]),
    st.sampled_from(["a", "b", "c", "deep/d", "deep/e", "new/f"]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(edits, min_size=1, max_size=4), min_size=1, max_size=4))
@example([[("link", "b")], [("remove", "a")]])
@example([[("link", "b"), ("remove", "a")], [("write", "a")]])
def test_after_any_edits_the_state_is_that_of_a_fresh_full_run(bursts: list[list[tuple[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write(PROJECT_FILE, SETTINGS)
        for name in ("a", "b", "deep/d"):
            edit("write", name)
        watched = Watched()
        watched.cycle()
        for burst in bursts:
            reported = set[str]()
            for kind, name in burst:
                reported |= edit(kind, name)
            with contextlib.suppress(SourceError):  # nothing is left of the site
                watched.cycle(reported)
        seen = state()
        if take_snapshot(watched.settings).source_files:  # an emptied site keeps its maps
            shutil.rmtree(".nimbus/manifest")
            bring_up_to_date(watched.settings, take_snapshot(watched.settings))
        assert state() == seen
        os.chdir("/")


def test_what_is_missing_counts_as_gone_only_where_removals_are_asked_for(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    write(PROJECT_FILE, SETTINGS)
    for name in ("a", "b"):
        edit("write", name)
    write(".nimbus/maps/other.json", "{}")
    watched = Watched()
    assert watched.cycle(removals=False).away == ()
    Path("dist/a.html").unlink()
    Path(".nimbus/maps/other.json").unlink()
    scanned = watched.cycle({"dist/a.html", ".nimbus/maps/other.json"}, removals=False)
    assert scanned.away == (".nimbus/maps/other.json",)
    plan = plan_extraction(watched.settings, scanned.snapshot)
    assert (plan.kept, plan.gone) == ({"dist/a.html"}, ())
    assert plan_validation(watched.settings, scanned.snapshot).gone == ()
    assert Path(".nimbus/maps/dist/a.html.json").exists()
    watched.scanner.forget()
    watched.cycle()
    assert not Path(".nimbus/maps/dist/a.html.json").exists()
    assert list(manifest.read_pages().entries) == [".nimbus/maps/dist/b.html.json"]


def test_a_page_that_is_being_written_stays_as_it_was_and_is_looked_at_again(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    write(PROJECT_FILE, SETTINGS)
    edit("write", "a")
    watched = Watched()
    watched.cycle()
    Path("dist/a.html").write_bytes(b"")
    scanned = watched.cycle({"dist/a.html"})
    assert scanned.unfinished == ("dist/a.html",)
    assert plan_extraction(watched.settings, scanned.snapshot).nothing_to_do


def settings_with(source: Source, store: BlobStoreName = "") -> Settings:
    return Settings(Project("proj_0123456789ab"), source, assets=Assets(store=store))


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("dist/a.html", "page"),
        ("dist/deep/a.html", "page"),
        ("dist/.hidden.html", "page"),
        ("dist/.git/a.html", "other"),
        ("dist/deep/.git/a.html", "other"),
        ("dist/a.css", "other"),
        ("other/a.html", "other"),
        (PROJECT_FILE, "settings"),
        (".nimbus/maps/dist/a.html.json", "map"),
        (".nimbus/maps/docs/.vitepress/dist/a.html.json", "map"),
        (".nimbus/maps/.123.tmp", "other"),
        (".nimbus/kv.db", "other"),
    ],
)
def test_a_path_says_what_it_is(path: str, role: str) -> None:
    assert role_of(settings_with(Source(folder="dist")))(path) == role


def test_other_files_of_the_site_matter_where_files_are_uploaded() -> None:
    role = role_of(settings_with(Source(folder="dist"), "folder"))
    paths = ("dist/a.html", "dist/a.png", "dist/.a.png", "dist/.git/a.png", "a.png", ".nimbus/blobs/aa/a")
    assert [role(path) for path in paths] == ["page", "file", "other", "other", "other", "other"]


def test_the_project_itself_can_be_the_source() -> None:
    role = role_of(settings_with(Source(folder=".")))
    assert [role(path) for path in ("a.html", "deep/a.html", ".git/a.html")] == ["page", "page", "other"]


def test_without_a_source_folder_there_are_only_maps() -> None:
    role = role_of(settings_with(Source(folder="")))
    assert [role(path) for path in ("a.html", ".nimbus/maps/a.json")] == ["other", "map"]


def test_a_folder_that_was_made_anew_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert folder_identity(str(tmp_path / "one")) != folder_identity(str(tmp_path / "two"))
    assert (folder_identity(""), folder_identity(str(tmp_path / "none"))) == (0, -1)
