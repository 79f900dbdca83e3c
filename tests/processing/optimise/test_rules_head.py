"""Title and description: from the page's own words, whole, or not at all."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from optimise_kit import GOOD_HEAD, SENTENCES, block, changes, page, texts

from nimbus_tasks.processing.optimise.rules import improve
from nimbus_tasks.processing.optimise.rules.description import is_whole, sentences

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
        f"{LONG[:-1]} | Bern",  # hardly too long
    ],
)
def test_a_title_of_which_nothing_can_go_for_sure_is_left_alone(text: str) -> None:
    assert title(text) == text


def test_a_site_that_says_its_name_may_stand_first() -> None:
    assert title(f"Uhren Meier \u2013 {LONG}", **{"og:site_name": "Uhren Meier"}) == LONG
    assert title(f"{LONG} \u2013 Uhren Meier", **{"og:site_name": "Uhren Meier"}) == LONG


@pytest.mark.parametrize(
    ("canonical", "path", "kept"),
    [
        ("https://www.example.com/", "dist/a.html", True),
        ("https://www.example.com", "dist/a.html", True),
        ("https://www.example.com/de/index.html", "dist/a.html", True),
        ("https://www.example.com/fr/", "dist/a.html", False),
        ("https://www.example.com/watches/", "dist/watches/index.html", False),
        ("https://www.example.com/shop/", "dist/index.html", True),
        ("", "index.html", True),
        ("", "dist/index.html", True),
        ("", "web/dist/de/index.html", True),
        ("", "web/dist/shop/index.html", False),
        ("", "dist/watches.html", False),
        ("http://[broken", "dist/watches.html", False),
    ],
)
def test_a_home_page_keeps_the_sites_name(canonical: str, path: str, kept: bool) -> None:
    head = GOOD_HEAD | {"title": f"{LONG} | Uhren Meier", "canonical": canonical, "lang": "de"}
    found = improve(replace(page(block("p", "Words"), head=head), source_path=path)).changes
    assert [change.id for change in found] == ([] if kept else ["title"])


def test_an_addition_goes_too_where_the_main_heading_does_without_it() -> None:
    text = "iPhone 12 repair - screen, battery, camera and everything else - PhoneFix Manchester"
    assert title(text, "iPhone 12 Repair") == "iPhone 12 repair"
    assert title(text, "All repairs") == text


def test_what_the_main_heading_speaks_of_is_no_name_of_a_site() -> None:
    text = f"{LONG} | Rolex"
    assert title(text + " Daytona", "All about the Rolex Daytona") == text + " Daytona"


@pytest.mark.parametrize(
    "placeholder", ["", "  ", "Untitled", "Document", "index.html", "Unbenanntes Dokument", "Welcome!"]
)
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
    assert title("Untitled", "Welcome") == title("Untitled", "Herzlich willkommen!") == "Untitled"
    assert title("Untitled") == "Untitled"
    assert texts(block("h1", "Réparation", lang="fr"), head=GOOD_HEAD | {"title": "Document", "lang": "en"}) == {}


def test_a_missing_title_says_so() -> None:
    head = {"metaDescription": GOOD_HEAD["metaDescription"]}
    change = changes(block("h1", "Watch repair"), head=head)["title"]
    assert (change.type, change.content, change.optimized_content) == ("title", "", "Watch repair")
    assert change.reason == "Is missing: the main heading names the page."


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
        "Please enter your user name and the word that we have sent to you by letter.",
        "Have you forgotten the word? Click here to reset it now, it does not take long.",
        "Sorry, nothing stands here any more. Look at our home page for what you want.",
        "Oh dear, the page that you asked for could not be found on this server of ours.",
        "This website requires JavaScript to be enabled in your browser to show anything.",
        "EUR 199.00 incl. VAT. A watch of our own, with a strap of leather and a box.",
        "€ 199 for a watch of our own, with a strap of leather and a box of wood.",
        "A watch of our own, with a strap of leather, in stock. Add to basket at once.",
        "Uhren Meier, Inhaber Max Meier, Lange Straße 5, 10115 Berlin, Deutschland, Europa.",
        "Harbour Lane Repairs are to be found at the harbour of Portsea, PO1 3AB, England.",
        "Deprecated since version three: use the other function for this, it is better.",
        "See also the lists of all objects, of all constants, and of all the functions.",
        "New in version three: the other function, which is for all of this and better.",
        "THE SOFTWARE IS PROVIDED AS IT IS, WITHOUT WARRANTY OF ANY KIND WHATSOEVER.",
        "What does a repair cost? How long does it take to get my watch back? Who are you?",
        "We repair watches .NET , then we sell them again to whoever wants to have one .",
        "An open (bracket that is never closed makes this sentence none that could stand alone.",
    ],
)
def test_what_is_no_prose_is_no_description(text: str) -> None:
    assert description(text) == ""


def test_a_slip_that_is_not_mended_is_not_quoted() -> None:
    slip = "We repair watches and clocks of all makers in our own workshop in the town of {} ."
    assert description(slip.format("bern"), lang="en") == ""
    assert description(slip.format("Bern"), lang="en") == slip.format("Bern").replace(" .", ".")
    marks = "We repair watches ! and we repair all kinds of clocks in our own workshop in town."
    assert description(marks, lang="en") == ""
    assert description(marks, lang="fr") == marks


def test_an_answer_does_not_stand_without_its_question() -> None:
    for kind in ("h3", "summary", "dt"):
        found = texts(block(kind, "Do you repair clocks?"), block("p", FIRST), head={"title": "Watches"})
        assert found == {}
    found = texts(block("h3", "Clocks?"), block("p", FIRST), block("p", SECOND), head={"title": "Watches"})
    assert found["metaDescription"] == SECOND
    assert description(f"Is your watch broken? {FIRST}") == f"Is your watch broken? {FIRST}"


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
        ("We open. ... Then we close.", ["We open.", "...", "Then we close."]),
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
