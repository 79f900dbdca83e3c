"""Gulp projects write their maps themselves: they need the upload half only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from kit import Site, page_map

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def maps(tmp_path: Path) -> Site:
    """A project without HTML: two maps of another tool."""
    site = Site.new(tmp_path)
    site.settings(folder='""')
    site.map("one")
    site.map("deep/two")
    return site


ONE, TWO = "src/one.njk", "src/deep/two.njk"


@pytest.mark.parametrize("command", ["upload", "nimbus:upload"])
def test_maps_are_published_without_any_html(maps: Site, command: str) -> None:
    assert maps.doit(command).status == 0
    assert maps.store.active == {ONE, TWO}
    assert maps.publish().status == 0
    assert maps.store.uploads(ONE) == 1


def test_an_edited_map_is_sent_alone(maps: Site) -> None:
    maps.publish()
    maps.map("one", dimensions={"brand": "rolex"})
    maps.publish()
    assert maps.sent() == {ONE: "changed"}


def test_a_removed_map_marks_its_page_inactive(maps: Site) -> None:
    maps.publish()
    maps.remove(".nimbus/maps/one.json")
    maps.publish()
    assert maps.store.active == {TWO}


def test_unknown_fields_travel_along_at_every_level(maps: Site) -> None:
    block = {"id": "block-0", "type": "h1", "content": "Watch repair", "weight": 0.5}
    maps.map("one", above_fold_blocks=[block], review={"by": "Ada", "stars": [1, 2]})
    maps.publish()
    extraction = maps.store.page(ONE)["extraction"]
    assert extraction["review"] == {"by": "Ada", "stars": [1, 2]}
    assert extraction["above_fold_blocks"] == [block]


def test_key_order_white_space_and_time_stamps_are_no_change(maps: Site) -> None:
    maps.publish()
    content = dict(reversed(page_map(ONE).items())) | {"generated_at": "2026-01-01T00:00:00Z"}
    maps.write(".nimbus/maps/one.json", json.dumps(content, indent=7))
    before = maps.store
    maps.publish()
    assert maps.store == before


def test_both_halves_work_together(maps: Site) -> None:
    maps.settings(folder='"dist"')
    maps.page("a")
    maps.publish()
    assert maps.store.active == {ONE, TWO, "dist/a.html"}
    maps.page("b")
    maps.remove("dist/a.html")
    maps.publish()
    assert maps.store.active == {ONE, TWO, "dist/b.html"}


def test_a_folder_of_some_maps_leaves_the_other_pages_as_they_are(maps: Site) -> None:
    maps.publish()
    maps.write("some/three.json", json.dumps(page_map("src/three.njk")))
    run = maps.doit("nimbus:upload", "--folder=some")
    assert run.status == 0
    assert maps.sent() == {"src/three.njk": "new"}
    assert maps.store.active == {ONE, TWO, "src/three.njk"}
    assert "inactive" not in run.out


def test_a_folder_is_validated_first(maps: Site) -> None:
    maps.write("some/three.json", '{"path": "src/three.njk",}')
    maps.write("some/four.json", json.dumps(page_map("src/four.njk")))
    run = maps.doit("nimbus:upload", "--folder=some")
    assert run.status == 1
    assert "some/three.json - " in run.out
    assert "line 1" in run.out
    assert maps.store.active == {"src/four.njk"}


def test_a_folder_that_does_not_exist_is_named(maps: Site) -> None:
    run = maps.doit("nimbus:upload", "--folder=nowhere")
    assert run.status == 2
    assert "There is no folder of maps at `nowhere`." in run.said


def test_a_folder_without_maps_is_an_error(maps: Site) -> None:
    (maps / "none").mkdir()
    run = maps.doit("nimbus:upload", "--folder=none")
    assert (run.status, "There are no map files (*.json) in none" in run.said) == (2, True)


def test_nimbus_upload_takes_the_options_of_upload(maps: Site) -> None:
    assert "Dry run" in maps.doit("nimbus:upload", "--dry-run").out
    assert maps.store.values == {}
    assert "1 changed page left for later" in maps.doit("nimbus:upload", "--limit=1", "--delay=1").out
    assert maps.doit("nimbus:upload", "--concurrency=2").status == 0
    assert maps.doit("nimbus:upload", "--force").status == 0
    assert maps.sent() == {ONE: "forced", TWO: "forced"}
