"""Title and description: from the page's own words, whole, or not at all."""

from __future__ import annotations

import pytest
from editing import GOOD_HEAD, SENTENCES, block, changes, texts

from nimbus_tasks.optimise.rules.sentences import is_whole, sentences

FIRST, SECOND, THIRD = SENTENCES
TOGETHER = f"{FIRST} {SECOND}"


def title(text: str, *headings: str, **facts: str) -> str:
    """Return a title as the rules leave it."""
    blocks = [block(f"h{n}", heading) for n, heading in enumerate(headings, 1)] or [block("p", "Words")]
    return texts(*blocks, head=GOOD_HEAD | {"title": text} | facts).get("title", text)


def description(*paragraphs: str, now: str = "", **facts: str) -> str:
    head = {"title": "Watches"} | ({"metaDescription": now} if now else {})
    return texts(*(block("p", text) for text in paragraphs), head=head | facts).get("metaDescription", now)


# --- title --------------------------------------------------------------------------------------------

LONG = "Repair of mechanical wrist watches and pocket watches"


@pytest.mark.parametrize("separator", [" | ", " - ", " \u2013 ", " — ", " · ", " :: ", " » "])
def test_a_title_that_is_too_long_loses_the_sites_name(separator: str) -> None:
    assert title(f"{LONG}{separator}Uhren Meier Berlin") == LONG


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG} and of clocks of all kinds",  # no separator
        f"{LONG}-Uhren Meier",
        f"{LONG} in our workshop in Berlin | Uhren Meier",  # too long without it, too
        f"Watches | {LONG}",  # what stands last is no name
        f"Berlin | {LONG} | all makers welcome",
        "Watches | Uhren Meier",  # short enough
        "x" * 61,
    ],
)
def test_a_title_of_which_nothing_can_go_for_sure_is_left_alone(text: str) -> None:
    assert title(text) == text


def test_a_site_that_says_its_name_may_stand_first() -> None:
    assert title(f"Uhren Meier \u2013 {LONG}", **{"og:site_name": "Uhren Meier"}) == LONG
    assert title(f"{LONG} \u2013 Uhren Meier", **{"og:site_name": "Uhren Meier"}) == LONG


def test_what_the_main_heading_speaks_of_is_no_name_of_a_site() -> None:
    text = f"{LONG} | Rolex"
    assert title(text + " Daytona", "All about the Rolex Daytona") == text + " Daytona"


@pytest.mark.parametrize("placeholder", ["", "  ", "Untitled", "Document", "index.html", "Unbenanntes Dokument"])
def test_a_title_that_says_nothing_becomes_the_main_heading(placeholder: str) -> None:
    assert title(placeholder, "Watch repair", "Prices") == "Watch repair"


def test_the_main_heading_is_the_first_of_the_highest_level() -> None:
    found = texts(
        block("h3", "Prices"), block("h2", "Repair"), block("h2", "More"), head=GOOD_HEAD | {"title": "Title"}
    )
    assert found["title"] == "Repair"


def test_no_title_is_made_where_no_heading_is_one() -> None:
    assert title("Untitled", "x" * 61) == "Untitled"
    assert title("Untitled", "Page title") == "Untitled"
    assert title("Untitled") == "Untitled"
    assert texts(block("h1", "Réparation", lang="fr"), head=GOOD_HEAD | {"title": "Document", "lang": "en"}) == {}


def test_a_missing_title_says_so() -> None:
    head = {"metaDescription": GOOD_HEAD["metaDescription"]}
    change = changes(block("h1", "Watch repair"), head=head)["title"]
    assert (change.type, change.content, change.optimized_content) == ("title", "", "Watch repair")
    assert change.reason == "Says nothing of the page: is missing, its main heading does."


# --- description --------------------------------------------------------------------------------------


def test_a_missing_description_is_whole_sentences_of_the_first_paragraphs() -> None:
    assert description(f"{FIRST} {SECOND} {THIRD}") == TOGETHER
    assert description(FIRST, SECOND, THIRD) == TOGETHER
    change = changes(block("p", TOGETHER), head={"title": "Watches"})["metaDescription"]
    assert (change.type, change.content) == ("meta", "")
    assert change.reason == "Is missing: written from the page's own sentences."


def test_a_description_that_is_too_short_is_written_anew() -> None:
    assert description(FIRST, now="Watches.") == FIRST
    assert description(FIRST, now="x" * 50) == "x" * 50


def test_a_description_that_is_too_long_keeps_its_own_first_sentences() -> None:
    assert description("Other words on this page.", now=f"{FIRST} {SECOND} {THIRD}") == TOGETHER
    # It has none that fit, but the page has.
    assert description(TOGETHER, now="word " * 40 + "end.") == TOGETHER


def test_nothing_is_cut_or_invented() -> None:
    endless = "word " * 40 + "end."
    assert description(endless, now="Watches.") == "Watches."
    assert description(endless, now=endless) == endless
    assert description("Too short to tell.", now="") == ""
    assert description("No end to this sentence about watches and clocks, and about alarm clocks") == ""
    # A paragraph further down may fit.
    assert description(endless, FIRST) == FIRST


@pytest.mark.parametrize("kind", ["h2", "li", "img"])
def test_paragraphs_with_something_between_them_do_not_join(kind: str) -> None:
    short = "We repair all watches in our own workshop."
    found = texts(block("p", short), block(kind, "Prices"), block("p", FIRST), head={"title": "Watches"})
    assert found["metaDescription"] == FIRST


@pytest.mark.parametrize(
    "text",
    [
        "© 2024 Uhren Meier. All rights are reserved, and nothing of this may be copied.",
        "Copyright by Uhren Meier, all rights are reserved, and nothing may be copied.",
        "We use cookies to give you the best experience on our site, as everybody does.",
        "Write to shop@example.com or look at https://example.com for more about us all.",
        "10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160 170 180 190 200 210 220.",
        "Call foo(bar) = baz to get the value of it, and then call it again until it ends.",
        "Supercalifragilisticexpialidocious antidisestablishmentarianism indeed.",
        "我们在自己的车间修理所有制造商的机械手表。" * 4 + "End of it all, says the man here.",
        "An open (bracket that is never closed makes this sentence none that could stand alone.",
    ],
)
def test_what_is_no_prose_is_no_description(text: str) -> None:
    assert description(text) == ""


def test_only_the_first_paragraphs_tell_what_a_page_is_about() -> None:
    assert description("One.", "Two.", "Three.", TOGETHER) == ""
    assert description("One.", "Two.", TOGETHER) == TOGETHER


@pytest.mark.parametrize("lang", ["zh-CN", "ja", "ko"])
def test_counts_of_characters_are_not_for_every_script(lang: str) -> None:
    assert description(TOGETHER, lang=lang) == ""
    assert description(TOGETHER, now="腕時計の修理。") == "腕時計の修理。"


def test_foreign_paragraphs_do_not_describe_the_page() -> None:
    assert texts(block("p", TOGETHER, lang="de"), head={"title": "Watches", "lang": "en"}) == {}


def test_the_sentences_are_mended_before_they_are_quoted() -> None:
    slip = "We repair watches , clocks and alarm clocks of all makers in our own workshop !"
    found = texts(block("p", slip), head={"title": "Watches", "lang": "en"})
    assert found["metaDescription"] == found["block-0"] == slip.replace(" ,", ",").replace(" !", "!")


def test_what_is_left_of_a_description_is_mended_though_the_whole_looked_like_code() -> None:
    first = "We repair watches , clocks and alarm clocks of all makers in our own workshop."
    assert description("Words", now=f"{first} {'Then call repair() ' * 8}once.", lang="en") == first.replace(" ,", ",")


# --- sentences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Meier and Mr. Smith came. They left.", ["Dr. Meier and Mr. Smith came.", "They left."]),
        ("Am 3. Mai z. B. um 12 Uhr. Danach nicht.", ["Am 3. Mai z. B. um 12 Uhr.", "Danach nicht."]),
        ("Use tools, e.g. Pliers. Or not.", ["Use tools, e.g. Pliers.", "Or not."]),
        ("By J. R. R. Tolkien. A book.", ["By J. R. R. Tolkien.", "A book."]),
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("Wait... What? no way.", ["Wait...", "What? no way."]),
        ("It is 3.5 km. Far.", ["It is 3.5 km.", "Far."]),
        ("Cost (approx. Five). Cheap.", ["Cost (approx. Five).", "Cheap."]),
        ("هل هذا؟ نعم. انتهى", ["هل هذا؟", "نعم.", "انتهى"]),
        ("One. - ", ["One. -"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_surely_end(text: str, said: list[str]) -> None:
    assert sentences(text) == said


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It ends.", True),
        ("It “ends.”", True),
        ("Er sagt „Ende.“", True),
        ("Zegt hij „Einde.”", True),
        ('It "ends.', False),
        ("It “ends.", False),
        ("Er sagt „Ende.", False),
        ("It (ends.", False),
        ("It goes on", False),
        ("It goes on:", False),
    ],
)
def test_a_whole_sentence_leaves_nothing_open(text: str, whole: bool) -> None:
    assert is_whole(text) is whole
