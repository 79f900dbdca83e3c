"""A change is made to the page that it was thought out for, once."""

from __future__ import annotations

import pytest
from apply_kit import PATH, Change, apply, blocks_of, change, changed, map_of

from nimbus_tasks.html.apply import ALL_LEVELS_OR_NONE, PageEditor, apply_changes
from nimbus_tasks.html.apply.markup import Edit
from nimbus_tasks.html.apply.plan import CHANGED, NewText
from nimbus_tasks.html.extract import Rules

HTML = "<title>T</title><h2>Head</h2><p>One</p><p>Two</p>"


@pytest.mark.parametrize(
    "now",
    [
        HTML.replace("Two", "Three"),
        HTML.replace("<title>T", "<title>U"),
        HTML.replace("<p>One</p>", ""),
        HTML.replace("<p>Two", "<p class=x>Two"),
        HTML.replace("<p>Two</p>", "<div><p>Two</p></div>"),
        f"<main>{HTML}</main>",
    ],
)
def test_a_page_that_changed_since_is_refused_whole(now: str) -> None:
    page = map_of(HTML)
    applied = apply_changes(now.encode(), page, [change(page, 1, "New"), change(page, "title", "New")])
    assert applied.html == now.encode()
    assert applied.refused == (("block-1", CHANGED), ("title", CHANGED))


def test_changes_are_made_in_a_page_with_the_same_content() -> None:
    page = map_of(HTML)
    now = HTML.replace("<p>One", "<!-- built later -->\n\n<p>One").encode()
    assert apply_changes(now, page, [change(page, 1, "New")]).html == now.replace(b"One", b"New")


def test_what_an_optimiser_wrote_into_the_map_is_not_of_the_page() -> None:
    page = map_of(HTML)
    for block in blocks_of(page):
        block.optimized_content = "Better"
    assert apply_changes(HTML.encode(), page, [change(page, 1, "New")]).applied == ("block-1",)


def test_changes_that_the_page_has_are_not_made_again() -> None:
    page = map_of(HTML)
    first, second = change(page, 0, "Top", "h3"), change(page, 1, "New")
    once = apply_changes(HTML.encode(), page, [first])
    assert once.html == HTML.replace("<h2>Head</h2>", "<h3>Top</h3>").encode()
    twice = apply_changes(once.html, page, [first, second, change(page, "metaDescription", "D")])
    assert twice.already == ("block-0",)
    assert twice.applied == ("block-1", "metaDescription")
    assert twice.html.startswith(b'<title>T</title><meta name="description" content="D"><h3>Top</h3><p>New')


@pytest.mark.parametrize(
    ("mapped", "now", "where"),
    [
        ("<p>a<img alt=b src=c>", "<p>a<img alt=other src=c>", 1),
        ("<title>T</title><p>a", "<title>Other</title><p>a", "title"),
        ("<meta name=description content=D><p>a", "<meta name=description content=Other><p>a", "metaDescription"),
        ("<title>T</title><p>a", "<title>T</title><meta name=description content=Other><p>a", "metaDescription"),
        ("<h2>a</h2>", "<h3>a</h3>", 0),
    ],
)
def test_what_an_author_has_changed_since_is_not_written_over(mapped: str, now: str, where: str | int) -> None:
    page = map_of(mapped)
    applied = apply_changes(now.encode(), page, [change(page, where, "New")])
    assert (applied.html, [why for _, why in applied.refused]) == (now.encode(), [CHANGED])


def test_a_heading_level_that_has_changed_refuses_the_page() -> None:
    page = map_of(HTML)
    retyped = change(page, 0, "Head", "h3")
    once = apply_changes(HTML.encode(), page, [retyped]).html.replace(b"Two", b"Three")
    assert apply_changes(once, page, [retyped, change(page, 1, "New")]).refused == (
        ("block-0", CHANGED),
        ("block-1", CHANGED),
    )


def test_nothing_new_is_nothing_to_do() -> None:
    applied = apply(HTML, (1, "One"), (2, " Two\n"))
    assert (applied.html, applied.already, applied.applied) == (HTML.encode(), ("block-1", "block-2"), ())


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Change("block-9", "x", "y"), "the page has no such block"),
        (Change("canonical", "x", "y"), "the page has no such block"),
        (Change("block-1", "Other", "y"), "the change was made for another text"),
        (Change("block-1", "One", "\ud800"), None),
    ],
)
def test_impossible_changes_are_refused(asked: Change, reason: str | None) -> None:
    applied = apply_changes(HTML.encode(), map_of(HTML), [asked])
    if reason is None:  # half of a character pair becomes a question mark
        assert applied.html == HTML.replace("One", "?").encode()
    else:
        assert applied.refused == ((asked.id, reason),)


def test_of_two_changes_of_one_block_the_first_is_made() -> None:
    applied = apply_changes(HTML.encode(), map_of(HTML), [Change("block-1", "One", "A"), Change("block-1", "One", "B")])
    assert applied.html == HTML.replace("One", "A").encode()
    assert applied.refused == (("block-1", "there are two changes of it"),)


def test_changes_of_a_file_that_is_not_a_page_are_refused_with_the_reason() -> None:
    applied = apply_changes(b"", map_of(HTML), [Change("block-1", "One", "A")])
    assert applied.refused == (("block-1", "the file is empty"),)


def test_a_change_that_leaves_no_page_is_refused() -> None:
    html = "<meta http-equiv=refresh content='1; url=x'><p>" + "word " * 60
    page = map_of(html)
    applied = apply_changes(html.encode(), page, [change(page, 0, "short")])
    assert applied.html == html.encode()
    assert applied.refused == (("block-0", "the page would not read as it should afterwards"),)


def test_only_the_change_that_leaves_no_page_is_refused() -> None:
    html = "<meta http-equiv=refresh content='1; url=x'><p>a<p>" + "word " * 60 + "<p>b<p>c"
    applied = apply(html, (0, "A"), (1, "short"), (2, "B"), (3, "C"))
    assert applied.html.decode() == html.replace("<p>a", "<p>A").replace("<p>b<p>c", "<p>B<p>C")
    assert [refused for refused, _ in applied.refused] == ["block-1"]


def test_dimensions_may_say_what_the_changed_text_says() -> None:
    rules = Rules(selectors={"brand": "h2"})
    assert changed(HTML, 0, "Brand", rules=rules) == HTML.replace("Head", "Brand")
    assert map_of(HTML, rules).path == PATH


OUTLINE = "<title>T</title><h1>H</h1><h4>Deep</h4><p>One</p>{}<h5>Deeper</h5>"


@pytest.mark.parametrize(
    ("heading", "reason"),
    [("<h4>Deep2", "no end tag of its own"), ("<h4>Deep2<a>\u00b6</a></h4>", "")],
)
def test_levels_change_together_or_not_at_all(heading: str, reason: str) -> None:
    html = OUTLINE.format(heading)
    page = map_of(html)
    asked = [
        change(page, 1, "Deep", "h2"),
        change(page, 2, "New"),
        change(page, 3, blocks_of(page)[3].content, "h2"),
        change(page, 4, "Deeper", "h3"),
    ]
    done = apply_changes(html.encode(), page, asked)
    if not reason:
        assert done.applied == tuple(each.id for each in asked)
        return
    assert done.html == html.replace("One", "New").encode()
    refused = dict(done.refused)
    assert reason in refused.pop("block-3")
    assert refused == {"block-1": ALL_LEVELS_OR_NONE, "block-4": ALL_LEVELS_OR_NONE}
    again = apply_changes(done.html, page, asked)
    assert (again.html, dict(again.refused)) == (done.html, dict(done.refused))


def test_a_heading_level_for_another_text_refuses_all_levels() -> None:
    html = OUTLINE.format("")
    page = map_of(html)
    stale = Change("block-1", "Other", "Deep", "h2")
    done = apply_changes(html.encode(), page, [stale, change(page, 3, "Deeper", "h3"), change(page, 2, "New")])
    assert dict(done.refused) == {"block-1": "the change was made for another text", "block-3": ALL_LEVELS_OR_NONE}
    assert done.applied == ("block-2",)


def test_a_heading_level_that_does_not_fit_refuses_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    html = OUTLINE.format("")
    page = map_of(html)
    find = PageEditor.find_edits

    def wrong(self: PageEditor, wanted: NewText) -> list[Edit]:
        return [] if wanted.id == "block-1" else find(self, wanted)

    monkeypatch.setattr(PageEditor, "find_edits", wrong)
    done = apply_changes(
        html.encode(),
        page,
        [change(page, 1, "Deep", "h2"), change(page, 2, "New"), change(page, 3, "Deeper", "h3")],
    )
    assert dict(done.refused).keys() == {"block-1", "block-3"}
    assert done.html == html.replace("One", "New").encode()
