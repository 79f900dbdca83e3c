"""The rules on any page: applied to their own result they find nothing, and they never do harm."""

from __future__ import annotations

import pickle

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET
from optimise_kit import SENTENCES, applied, block, page, run

from nimbus_tasks.processing.optimise import (
    DESCRIPTION,
    HEADINGS,
    MAX_ALT,
    MAX_DESCRIPTION,
    MAX_TITLE,
    MIN_DESCRIPTION,
    TITLE,
    Optimised,
    Page,
    changes_between,
)
from nimbus_tasks.processing.optimise.rules import RulesOptimiser, improve
from nimbus_tasks.processing.optimise.rules.edit import CONFIDENCE
from nimbus_tasks.processing.optimise.rules.spacing import CODE

# Pieces that the rules have to do with, so that random texts meet them.
PIECES = [
    *(
        " ",
        "  ",
        "\u00a0",
        "\n",
        ",",
        ",,",
        " ,",
        " .",
        "&",
        "!",
        "!!",
        " !",
        "?",
        "??",
        "?!",
        ".",
        "...",
        ":",
        " : ",
        ";",
        "(",
        ")",
    ),
    *(
        "“",
        "”",
        "„",
        "«",
        "»",
        '"',
        "¡",
        " | ",
        " - ",
        " \u2013 ",
        "`",
        "=",
        "[",
        "3",
        "1.5",
        "Dr.",
        "word",
        "Word",
        "ab",
    ),
    *(
        "Uhren Meier",
        "über",
        "слово",
        "中文",
        "ไทย",
        "हिन्दी",
        "İ",
        "ß",
        "e\u0301",
        "a@b.de",
        "https://a.de/x",
        "Untitled",
    ),
    *SENTENCES,
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40)
LANGUAGES = st.sampled_from(["", "en", "en-US", "de", "fr", "es", "zh", "ja", "x"])
TYPES = st.sampled_from(["p", "p", "p", "li", "img", "img", "figcaption", "pre", *HEADINGS])
SOURCES = st.sampled_from(["", "IMG_1.jpg", "old-clock.jpg", "clock-2.png", "часы.png", "data:x", "http://["]) | TEXTS


@st.composite
def blocks(draw: st.DrawFn):
    kind = draw(TYPES)
    if kind == "img":
        content = draw(st.just("") | TEXTS)
        says = draw(
            st.dictionaries(
                st.sampled_from(["alt", "role", "width", "lang", "title"]), st.sampled_from(["", "none", "9"])
            )
        )
        return block(kind, content, src=draw(SOURCES), **says)
    says = {"lang": draw(LANGUAGES)} if draw(st.integers(0, 4)) == 0 else {}
    return block(kind, draw(TEXTS), **says)


@st.composite
def pages(draw: st.DrawFn) -> Page:
    head = {}
    for name in ("title", "metaDescription", "lang", "og:site_name"):
        if draw(st.booleans()):
            head[name] = draw(LANGUAGES if name == "lang" else TEXTS)
    return page(*draw(st.lists(blocks(), max_size=8)), head=head)


@given(pages())
@example(
    page(block("p", "A [x] word ,word and many more words in it until it is long enough. Yes."), head={"lang": "en"})
)
@example(page(block("h1", "Bonjour !", lang="fr"), block("img", "", src="IMG_1.jpg"), head={"lang": "en", "title": ""}))
@example(
    page(block("p", "x"), head={"title": "Some words of a title that is long ,and longer ,and longest | Uhren Meier"})
)
def test_applied_to_its_own_result_there_is_nothing_more(before: Page) -> None:
    after = applied(before, improve(before).changes)
    again = improve(after)
    assert again.changes == ()
    assert again.confidence == 1.0


@given(pages())
def test_the_same_page_gets_the_same_changes(before: Page) -> None:
    copy = pickle.loads(pickle.dumps(msgspec.to_builtins(before)))
    assert improve(msgspec.convert(copy, Page)) == improve(before)


@given(pages())
def test_a_change_is_one_and_does_no_harm(before: Page) -> None:
    found = improve(before)
    assert 0 < found.confidence <= 1
    assert (found.confidence == 1.0) == (not found.changes)
    blocks_by_id = {each.id: each for each in before.blocks}
    assert len({change.id for change in found.changes}) == len(found.changes)
    for change in found.changes:
        was = blocks_by_id.get(change.id)
        assert change.content == (was.content if was else before.head.get(change.id, ""))
        assert change.type == (was.type if was else {TITLE: "title", DESCRIPTION: "meta"}[change.id])
        assert change.optimized_content != change.content or change.optimized_type is not UNSET
        assert change.optimized_content.strip() or not change.content.strip()
        assert change.reason.endswith(".")
        if change.optimized_type is not UNSET:
            assert change.type in HEADINGS
            assert int(change.optimized_type[1]) < int(change.type[1])
        assert change.type not in CODE


@given(pages())
@example(page(block("p", "x"), head={"metaDescription": "word,,"}))
@example(page(block("p", "x"), head={"metaDescription": "Word!!", "lang": "en"}))
def test_texts_are_written_within_their_limits(before: Page) -> None:
    for change in improve(before).changes:
        new, old = change.optimized_content, change.content
        longest = {"title": MAX_TITLE, "meta": MAX_DESCRIPTION, "img": MAX_ALT}.get(change.type, 0)
        # A text that is only tidied gets shorter, whatever its length was.
        assert len(new) <= max(longest, len(old))
        if change.id == DESCRIPTION and letters(new) != letters(old):
            assert MIN_DESCRIPTION <= len(new) <= MAX_DESCRIPTION


def test_a_doubled_comma_at_the_end_of_a_description_stays() -> None:
    assert (
        improve(page(block("p", "x"), head={"metaDescription": "word,,", "title": "Repairs of watches"})).changes == ()
    )


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@given(pages())
def test_a_description_is_the_pages_own_words(before: Page) -> None:
    after = applied(before, improve(before).changes)
    said = " ".join(each.content for each in after.blocks) + " " + before.head.get(DESCRIPTION, "")
    for word in after.head.get(DESCRIPTION, "").split():
        assert letters(word) in letters(said)


@given(st.lists(st.sampled_from(["img", "p", "h1"]), max_size=4), LANGUAGES)
def test_a_page_without_text_is_left_alone(kinds: list[str], lang: str) -> None:
    empty = [block(kind, "" if kind == "img" else " 1 -- , ,, !! ", src="old-clock.jpg") for kind in kinds]
    assert improve(page(*empty, head={"title": "Untitled", "lang": lang})) == Optimised((), 1.0, "rules")


def test_confidence_is_of_all_rules_that_were_used_each_once() -> None:
    found = improve(page(block("p", "Two  blanks"), block("p", "Two  blanks"), block("img", "", src="old-clock.png")))
    assert found.confidence == round(CONFIDENCE["spacing"] * CONFIDENCE["alt from file name"], 3)
    assert all(0.5 <= figure < 1 for figure in CONFIDENCE.values())


def test_the_rules_are_an_optimiser() -> None:
    optimiser = RulesOptimiser()
    before = page(block("p", "Two  blanks"))
    assert optimiser.name == "rules"
    assert run(optimiser.optimise(before)) == improve(before)
    assert run(optimiser.close()) is None


def test_changes_come_in_the_order_of_the_page() -> None:
    found = improve(page(block("p", "Two  blanks"), block("h1", "A  title"), head={"metaDescription": "Two  blanks"}))
    assert [change.id for change in found.changes] == ["title", "metaDescription", "block-0", "block-1"]
    assert changes_between(page(), page(), {}) == ()
