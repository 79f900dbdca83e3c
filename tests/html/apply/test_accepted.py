"""Accepted changes follow their texts from build to build."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.apply import apply_accepted, apply_changes
from nimbus_tasks.html.apply.accepted import Content, builds_of, find_accepted, sort_accepted
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.model.changes import Change
from nimbus_tasks.model.page_map import Block, PageMap


def page(*texts: str, title: str = "T", **more: object) -> Content:
    blocks = [Block(f"block-{n}", "p", text) for n, text in enumerate(texts)]
    return Content(blocks[:1], blocks[1:], {"title": title, "lang": "en"}, dict(more))


def images(**alts: str) -> Content:
    return Content(
        [], [Block(f"block-{n}", "img", alt, {"src": src, "alt": alt}) for n, (src, alt) in enumerate(alts.items())]
    )


def change(number: int, was: str, now: str, **more: str) -> Change:
    return Change(f"block-{number}", more.pop("type", "p"), was, now, **more)


TITLE = Change("title", "title", "T", " Better  one ")


@pytest.mark.parametrize(
    ("old", "new", "accepted", "proposed", "found", "only_these"),
    [
        pytest.param(page("a", "b"), page("A", "b"), [], [change(0, "a", "A")], [change(0, "a", "A")], True, id="made"),
        pytest.param(page("a"), page("a", title="Better one"), [], [TITLE], [TITLE], True, id="title"),
        pytest.param(page("a"), page("a", x=1), [], [change(0, "a", "A")], [], False, id="not made"),
        pytest.param(
            page("a", "b"),
            page("A", "b"),
            [],
            [change(0, "a", "A"), change(1, "b", "B")],
            [change(0, "a", "A")],
            True,
            id="some refused",
        ),
        pytest.param(
            page("a"), page("A", x=1), [], [change(0, "a", "A")], [change(0, "a", "A")], False, id="other facts"
        ),
        pytest.param(
            page("a"), page("x", "A"), [], [change(0, "a", "A")], [change(1, "a", "A")], False, id="made and moved"
        ),
        pytest.param(
            page("a", "b"), page("A", "x", "A"), [], [change(1, "b", "A")], [], False, id="one of several that moved"
        ),
        pytest.param(page("A"), page("a"), [change(0, "a", "A")], [], [change(0, "a", "A")], True, id="undone"),
        pytest.param(page("A"), page("x", "a"), [change(0, "a", "A")], [], [change(1, "a", "A")], False, id="rebuilt"),
        pytest.param(page("A"), page("x"), [change(0, "a", "A")], [], [], False, id="gone"),
        pytest.param(
            page("B"), page("C"), [change(0, "A", "B")], [change(0, "B", "C")], [change(0, "A", "C")], True, id="twice"
        ),
        pytest.param(
            page("B"), page("A"), [change(0, "A", "B")], [change(0, "B", "C")], [change(0, "A", "B")], True, id="back"
        ),
        pytest.param(
            images(a="", b=""),
            images(n="", b="", a="A"),
            [],
            [change(0, "", "A", type="img")],
            [change(2, "", "A", type="img")],
            False,
            id="the image of that file",
        ),
        pytest.param(
            page("a"),
            Content([Block("block-0", "h2", "a")], [], {"title": "T", "lang": "en"}),
            [],
            [change(0, "a", "a", optimized_type="h2")],
            [change(0, "a", "a", optimized_type="h2")],
            True,
            id="level",
        ),
    ],
)
def test_accepted_changes_are_found_in_the_page_that_replaces_another(
    old: Content, new: Content, accepted: list[Change], proposed: list[Change], found: list[Change], only_these: bool
) -> None:
    result = find_accepted(old, new, accepted, proposed)
    assert (list(result.changes), result.only_these) == (found, only_these)
    assert result.pending([*found, change(9, "x", "y")]) == (change(9, "x", "y"),)


@pytest.mark.parametrize(
    ("new", "lacking"), [(page("a"), True), (page("x", "a"), True), (page("A"), False), (page("x"), False)]
)
def test_a_page_lacks_accepted_changes_whose_former_texts_are_back(new: Content, lacking: bool) -> None:
    assert find_accepted(page("A"), new, [change(0, "a", "A")], []).lacking == lacking


def test_what_builds_of_a_page_say() -> None:
    """A build has the texts of its source; with what was accepted, and then with what is proposed, it has others."""
    accepted = [TITLE, change(0, "a", "A"), Change("metaDescription", "meta", "D", "Other")]
    proposed = [change(1, "b", "B", optimized_type="h2"), change(2, "not there", "C")]
    built, published = page("a", "b", "c"), page("A", "b", "c", title="Better one")
    source = ("T", [("p", "a"), ("p", "b"), ("p", "c")])
    improved = ("Better one", [("p", "A"), ("p", "b"), ("p", "c")])
    reviewed = ("Better one", [("p", "A"), ("h2", "B"), ("p", "c")])
    assert list(builds_of(published, accepted, proposed)) == [source, improved, reviewed]
    assert list(builds_of(built, accepted, proposed)) == [source, improved, reviewed]


def extracted(html: str) -> PageMap:
    made = extract("a.html", html.encode(), Rules())
    assert not isinstance(made, Skipped)
    return made


def test_an_accepted_change_is_made_where_its_text_is_and_left_out_where_it_is_gone() -> None:
    record = extracted("<title>T</title><p>One.<p>Two.<p>Three.")
    accepted = [change(0, "one", "One."), change(1, "two", "Two."), change(2, "three", "Three.")]
    html = b"<title>T</title><p>New<p>one<p>Two."
    assert sort_accepted(record, extracted(html.decode()), accepted) == ((change(1, "one", "One."),), ("block-1",))
    made = apply_accepted(html, record, accepted)
    assert made.html == b"<title>T</title><p>New<p>One.<p>Two."
    assert (made.applied, made.already, made.refused) == (("block-1",), ("block-1",), ())
    assert apply_accepted(made.html, record, accepted).applied == ()
    [(refused, _)] = apply_accepted(b"\0\0", record, accepted[:1]).refused
    assert refused == "block-0"


_words = st.lists(st.text("abc ,", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=4, unique=True)


@given(texts=_words, data=st.data())
def test_a_later_build_becomes_the_published_page_again(texts: list[str], data: st.DataObject) -> None:
    built = "<title>T</title>" + "".join(f"<p>{text}</p>" for text in texts)
    before = extracted(built)
    blocks = before.above_fold_blocks + before.rest_of_page_blocks
    some = data.draw(st.sets(st.sampled_from([block.id for block in blocks])))
    proposed = [
        Change(block.id, block.type, block.content, f"{block.content} x{n}")
        for n, block in enumerate(blocks)
        if block.id in some
    ]
    published = apply_changes(built.encode(), before, proposed).html
    record = extracted(published.decode())
    accepted = find_accepted(before, record, (), proposed)
    assert {each.id for each in accepted.changes} == some
    assert accepted.only_these == bool(some)
    assert apply_accepted(built.encode(), record, accepted.changes).html == published
