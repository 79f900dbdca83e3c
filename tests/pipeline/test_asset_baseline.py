"""A run that finds all files as they were when they were stored looks no further, and notices each change."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nimbus_tasks.assets import digests
from nimbus_tasks.assets.asset_file import MappedPage, Uses
from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.assets.uses import note_uses
from nimbus_tasks.backends.kv.open import KV_FILE, Connection
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline import assets
from nimbus_tasks.pipeline.asset_baseline import Baseline
from nimbus_tasks.pipeline.asset_request import AssetRequest
from nimbus_tasks.pipeline.assets import AssetStage
from nimbus_tasks.project.scan import CLOCK_STEP_NS
from nimbus_tasks.project.settings import Assets, Project, Settings, Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nimbus_tasks.pipeline.asset_summary import AssetSummary

SETTINGS = Settings(
    Project("proj_0123456789ab"), source=Source(folder="dist"), assets=Assets(store="folder", include=("more/**",))
)
PAGE = MappedPage("dist/index.html", "/", "Home")


class Silent:
    """An observer that ignores everything."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


def use(*names: str, map_file: str = "maps/index.json") -> None:
    """Have a page refer to these files, and to no others."""
    with AssetLedger() as ledger:
        ledger.note_uses([Uses(map_file, (1, len(names), 1), PAGE, {f"dist/{name}": [""] for name in names})])


def upload(settings: Settings = SETTINGS, **asked: Any) -> tuple[bool, AssetSummary]:
    """Upload the site; return whether there was nothing to look at, and the summary."""
    request = AssetRequest(**asked)
    with AssetStage(settings) as stage:
        found = stage.changes(silently, request)
        return isinstance(found, Baseline), stage.upload(found, Connection(), Silent(), request)


def is_current() -> bool:
    with AssetStage(SETTINGS) as stage:
        return stage.is_current()


def grow_old() -> None:
    """Let the files become old enough for a change to show."""
    time.sleep(2 * CLOCK_STEP_NS / 1e9)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose page uses four files, two of them equal and one missing; a fifth is named by the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(AssetLedger, "stale_maps", lambda _: ([], []))
    (tmp_path / ".nimbus").mkdir()
    for name, content in (("a.png", b"a"), ("img/b.png", b"b"), ("img/same.png", b"b"), ("more/c.pdf", b"c")):
        (tmp_path / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dist" / name).write_bytes(content)
    use("a.png", "img/b.png", "img/same.png", "img/none.png")
    grow_old()
    looked_at_nothing, done = upload()
    assert not looked_at_nothing and done.complete
    return tmp_path / "dist"


def test_a_run_without_changes_says_the_same_and_reads_nothing(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced = upload(force=True, dry_run=True)
    assert forced[0] is False and forced[1].uploaded == 0
    looked_at_nothing, done = upload()
    assert looked_at_nothing
    assert (done.files, done.unchanged, done.repeated, done.failed) == (4, 4, 1, 0)
    # What is missing, and what is named like a picture and is none.
    odd = {"dist/img/none.png": False, "dist/a.png": True, "dist/img/b.png": True, "dist/img/same.png": True}
    assert {each.path: each.sent for each in done.problems} == odd
    assert not any(each.failed for each in done.problems)
    assert upload(dry_run=True)[1].cost is not None
    # As the other way to know it says.
    monkeypatch.setattr(assets, "find_baseline", lambda *_: None)
    assert msgspec.structs.replace(upload()[1], ms=0) == msgspec.structs.replace(done, ms=0)


def change_bytes_only(site: Path) -> None:
    """Bytes differ; size and time of change, which programs can set, do not."""
    status = (site / "a.png").stat()
    (site / "a.png").write_bytes(b"A")
    os.utime(site / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))


def add_missing(site: Path) -> None:
    (site / "img/none.png").write_bytes(b"none")


def add_included(site: Path) -> None:
    (site / "more/d.pdf").write_bytes(b"d")


def swap_included(site: Path) -> None:
    (site / "more/c.pdf").rename(site / "more/e.pdf")


def add_odd(site: Path) -> None:
    (site / "more/link.pdf").symlink_to("c.pdf")


def hide_behind_link(site: Path) -> None:
    (site / "img").rename(site / "other")
    (site / "img").symlink_to("other")


@pytest.mark.parametrize(
    "change",
    [
        change_bytes_only,
        add_missing,
        add_included,
        swap_included,
        add_odd,
        hide_behind_link,
        lambda site: (site / "img/b.png").unlink(),
        lambda site: use("a.png", "img/b.png", "img/same.png", "img/none.png", "more/f.pdf"),
        lambda site: use("a.png"),
        lambda site: use("a.png", map_file="maps/other.json"),
    ],
    ids=lambda change: change.__name__,
)
def test_each_change_is_noticed(site: Path, change: Callable[[Path], None]) -> None:
    assert is_current() and upload()[0]
    change(site)
    with AssetStage(SETTINGS) as stage:
        assert not isinstance(stage.changes(silently), Baseline)


def test_what_the_ledger_says_of_stores_ends_it(site: Path) -> None:
    with AssetStage(SETTINGS) as stage:
        ((sha256, *_), *_) = stage.ledger.locations(_identity(stage))
        stage.ledger.forget_store(_identity(stage), [sha256])
    assert not is_current()
    looked_at_nothing, done = upload()
    assert not looked_at_nothing and done.uploaded == 1


def _identity(stage: AssetStage) -> str:
    return assets.blob_store(stage.target).identity


@pytest.mark.parametrize(
    "changed",
    [
        {"assets": Assets(store="folder", include=("more/**",), exclude=("a.png",))},
        {"assets": Assets(store="folder")},
        {"project": Project("proj_0123456789ab", domain="example.com")},
    ],
    ids=str,
)
def test_other_settings_are_looked_at_anew(site: Path, changed: dict[str, Any]) -> None:
    assert not upload(msgspec.structs.replace(SETTINGS, **changed))[0]


def test_another_target_gets_its_records(site: Path) -> None:
    for path in (site.parent / KV_FILE).parent.glob(f"{(site.parent / KV_FILE).name}*"):
        path.unlink()
    assert not is_current()
    _, done = upload()
    assert (done.recorded, done.unchanged) == (3, 0)
    assert is_current()


def test_uses_that_stay_the_same_are_no_change(site: Path) -> None:
    with AssetLedger() as ledger:
        files = {f"dist/{name}": [""] for name in ("img/none.png", "img/same.png", "img/b.png", "a.png")}
        ledger.note_uses([Uses("maps/index.json", (7, 8, 9), PAGE, files)])
    assert upload()[0]


def test_files_are_noted_as_used_each_day(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "now", lambda: "2099-01-02T00:00:00.000Z")
    assert is_current()
    upload()
    with AssetStage(SETTINGS) as stage:
        assert stage.ledger.unused(_identity(stage), "2099-01-02") == []


def test_a_file_that_may_change_unseen_is_read_again(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AssetStage(SETTINGS) as stage:
        (site / "a.png").write_bytes(b"new")
        monkeypatch.setattr(digests, "last_step", lambda: 0)  # the file is young, however long the upload takes
        stage.upload(stage.changes(silently), Connection(), Silent())
        assert not isinstance(stage.changes(silently), Baseline)


def test_what_another_process_writes_meanwhile_ends_it(site: Path) -> None:
    with AssetStage(SETTINGS) as stage:
        (site / "a.png").write_bytes(b"new")
        grow_old()
        found = stage.changes(silently)
        use("a.png")
        stage.upload(found, Connection(), Silent())
        note_uses(stage.ledger, SETTINGS.source)
        assert not isinstance(stage.changes(silently), Baseline)
        assert stage.is_current()  # one file of the page, and what it knows is noted
        assert isinstance(stage.changes(silently), Baseline)
