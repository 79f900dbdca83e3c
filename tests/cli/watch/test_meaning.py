"""What changes that were told mean for the next look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.watch.classify import MOST_TOLD, Look, Seen, Told, meaning
from nimbus_tasks.project.scan import Odd, Scan

OLD, NEW = (1, 2, 3), (4, 5, 6)
FILES, MAPS = {"dist/a.html": OLD, "dist/deep/er/b.html": OLD}, Scan({".nimbus/maps/dist/a.html.json": OLD})
PLAIN = Seen.of(Scan(FILES), MAPS)
SEEN = Seen.of(Scan(FILES, (Odd("dist/link.html", "a link to nothing"),)), MAPS)
WHOLE = Look(whole=True)


@pytest.mark.parametrize(
    ("path", "told", "look"),
    [
        ("dist/a.html", Told("page", NEW), Look(pages=("dist/a.html",))),
        ("dist/a.html", Told("page", "gone"), Look(pages=("dist/a.html",))),
        ("dist/new.html", Told("page", NEW), Look(pages=("dist/new.html",))),
        (".nimbus/maps/dist/a.html.json", Told("map", NEW), Look(maps=(".nimbus/maps/dist/a.html.json",))),
        (".nimbus/maps/dist/z.json", Told("map", NEW), Look(maps=(".nimbus/maps/dist/z.json",))),
        (".nimbus/project.toml", Told("settings", NEW), WHOLE),
        (".nimbus/project.toml", Told("settings", "gone"), WHOLE),
    ],
)
def test_a_plain_file_in_a_known_folder_is_looked_at_alone(path: str, told: Told, look: Look) -> None:
    assert meaning({path: told}, PLAIN) == look


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("dist/a.html", Told("page", OLD)),
        ("dist/never.html", Told("page", "gone")),
        (".nimbus/maps/dist/a.html.json", Told("map", OLD)),
        ("dist/style.css", Told("other", NEW)),
        ("dist/style.css", Told("other", "gone")),
        ("dist/pipe", Told("other", "odd")),
    ],
)
def test_what_is_as_it_was_or_no_page_means_nothing(path: str, told: Told) -> None:
    assert meaning({path: told}, SEEN).nothing


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("dist/new", Told("other", "folder")),
        ("dist/deep", Told("other", "gone")),
        ("dist/deep/er", Told("other", "gone")),
        ("dist/a.html", Told("page", "folder")),
        ("dist/a.html", Told("page", "odd")),
        ("dist/link.html", Told("page", NEW)),
        ("dist/link.html", Told("page", "gone")),
        ("dist/unseen/c.html", Told("page", NEW)),
        ("dist/unseen/c.html", Told("page", "gone")),
    ],
)
def test_what_a_look_at_one_file_cannot_tell_means_all_of_them(path: str, told: Told) -> None:
    assert meaning({path: told}, SEEN) == WHOLE


@pytest.mark.parametrize(
    ("path", "told", "look"),
    [
        ("dist/a.html", Told("page", "gone"), WHOLE),
        ("dist/new.html", Told("page", NEW), WHOLE),
        (".nimbus/maps/dist/z.json", Told("map", NEW), WHOLE),
        ("dist/a.html", Told("page", NEW), Look(pages=("dist/a.html",))),
    ],
)
def test_where_there_are_links_what_comes_or_goes_may_be_what_they_lead_to(path: str, told: Told, look: Look) -> None:
    assert meaning({path: told}, SEEN) == look


def test_so_much_that_events_may_be_lost_means_all_of_them() -> None:
    told = {f"dist/{number}.html": Told("page", NEW) for number in range(MOST_TOLD)}
    assert meaning(told, PLAIN) == Look(pages=tuple(told))
    assert meaning(told | {"dist/a.html": Told("page", OLD)}, PLAIN) == WHOLE


lying = st.sampled_from([OLD, NEW, "folder", "odd", "gone"])
roles = st.sampled_from(["page", "map", "settings", "other"])
tolds = st.tuples(roles, lying).map(lambda pair: Told(*pair))
paths = st.sampled_from(["dist/a.html", "dist/new.html", "dist/link.html", "dist/deep", "dist/x/y.html", "dist"])


@given(st.dictionaries(paths, tolds))
def test_many_changes_mean_what_each_of_them_means(told: dict[str, Told]) -> None:
    each = [meaning({path: one}, SEEN) for path, one in told.items()]
    together = meaning(told, SEEN)
    assert together.whole == any(look.whole for look in each)
    assert together.nothing == all(look.nothing for look in each)
    if not together.whole:
        assert set(together.pages) == {path for look in each for path in look.pages}
        assert set(together.maps) == {path for look in each for path in look.maps}
