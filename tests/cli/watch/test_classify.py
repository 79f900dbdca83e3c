"""What reported changes mean for the next scan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.watch.classify import MOST_REPORTED, Reported, Seen, ToScan, classify
from nimbus_tasks.project.scan import Scan, SkippedPath

OLD, NEW = (1, 2, 3), (4, 5, 6)
FILES, MAPS = {"dist/a.html": OLD, "dist/deep/er/b.html": OLD}, Scan({".nimbus/maps/dist/a.html.json": OLD})
FOLDERS = {"", "dist", "dist/deep", "dist/deep/er", ".nimbus", ".nimbus/maps", ".nimbus/maps/dist"}
PLAIN = Seen(Scan(FILES), MAPS, FOLDERS.__contains__)
SEEN = Seen(Scan(FILES, (SkippedPath("dist/link.html", "a link to nothing"),)), MAPS, FOLDERS.__contains__)
WHOLE = ToScan(whole=True)


@pytest.mark.parametrize(
    ("path", "reported", "look"),
    [
        ("dist/a.html", Reported("page", NEW), ToScan(pages=("dist/a.html",))),
        ("dist/a.html", Reported("page", "gone"), ToScan(pages=("dist/a.html",))),
        ("dist/new.html", Reported("page", NEW), ToScan(pages=("dist/new.html",))),
        (".nimbus/maps/dist/a.html.json", Reported("map", NEW), ToScan(maps=(".nimbus/maps/dist/a.html.json",))),
        (".nimbus/maps/dist/z.json", Reported("map", NEW), ToScan(maps=(".nimbus/maps/dist/z.json",))),
        (".nimbus/project.toml", Reported("settings", NEW), WHOLE),
        (".nimbus/project.toml", Reported("settings", "gone"), WHOLE),
    ],
)
def test_a_plain_file_in_a_known_folder_is_looked_at_alone(path: str, reported: Reported, look: ToScan) -> None:
    assert classify({path: reported}, PLAIN) == look


@pytest.mark.parametrize(
    ("path", "reported"),
    [
        ("dist/a.html", Reported("page", OLD)),
        ("dist/never.html", Reported("page", "gone")),
        (".nimbus/maps/dist/a.html.json", Reported("map", OLD)),
        ("dist/style.css", Reported("other", NEW)),
        ("dist/style.css", Reported("other", "gone")),
        ("dist/pipe", Reported("other", "special")),
    ],
)
def test_what_is_as_it_was_or_no_page_means_nothing(path: str, reported: Reported) -> None:
    assert classify({path: reported}, SEEN).nothing


@pytest.mark.parametrize(
    ("path", "reported"),
    [
        ("dist/new", Reported("other", "folder")),
        ("dist/deep", Reported("other", "gone")),
        ("dist/deep/er", Reported("other", "gone")),
        ("dist/a.html", Reported("page", "folder")),
        ("dist/a.html", Reported("page", "special")),
        ("dist/link.html", Reported("page", NEW)),
        ("dist/link.html", Reported("page", "gone")),
        ("dist/unseen/c.html", Reported("page", NEW)),
        ("dist/unseen/c.html", Reported("page", "gone")),
    ],
)
def test_what_a_look_at_one_file_cannot_tell_means_all_of_them(path: str, reported: Reported) -> None:
    assert classify({path: reported}, SEEN) == WHOLE


@pytest.mark.parametrize(
    ("path", "reported", "look"),
    [
        ("dist/a.html", Reported("page", "gone"), WHOLE),
        ("dist/new.html", Reported("page", NEW), WHOLE),
        (".nimbus/maps/dist/z.json", Reported("map", NEW), WHOLE),
        ("dist/a.html", Reported("page", NEW), ToScan(pages=("dist/a.html",))),
    ],
)
def test_where_there_are_links_a_file_that_comes_or_goes_may_be_their_target(
    path: str, reported: Reported, look: ToScan
) -> None:
    assert classify({path: reported}, SEEN) == look


def test_so_much_that_events_may_be_lost_means_all_of_them() -> None:
    reported = {f"dist/{number}.html": Reported("page", NEW) for number in range(MOST_REPORTED)}
    assert classify(reported, PLAIN) == ToScan(pages=tuple(reported))
    assert classify(reported | {"dist/a.html": Reported("page", OLD)}, PLAIN) == WHOLE


states = st.sampled_from([OLD, NEW, "folder", "special", "gone"])
roles = st.sampled_from(["page", "map", "settings", "other"])
reports = st.tuples(roles, states).map(lambda pair: Reported(*pair))
paths = st.sampled_from(["dist/a.html", "dist/new.html", "dist/link.html", "dist/deep", "dist/x/y.html", "dist"])


@given(st.dictionaries(paths, reports))
def test_many_changes_mean_what_each_of_them_means(reported: dict[str, Reported]) -> None:
    each = [classify({path: one}, SEEN) for path, one in reported.items()]
    together = classify(reported, SEEN)
    assert together.whole == any(look.whole for look in each)
    assert together.nothing == all(look.nothing for look in each)
    if not together.whole:
        assert set(together.pages) == {path for look in each for path in look.pages}
        assert set(together.maps) == {path for look in each for path in look.maps}
