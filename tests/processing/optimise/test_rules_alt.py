"""Alternative texts: from what the file's name says, else from the heading; decoration stays decoration."""

from __future__ import annotations

import pytest
from optimise_kit import block, changes, texts

from nimbus_tasks.processing.optimise.rules.file_names import words_of


def alt(src: str, *before: str, **says: str) -> str:
    """Return the alternative text of an image on a page, or nothing."""
    headings = [block("h2", heading) for heading in before]
    found = texts(*headings, block("img", "", src=src, **says), block("p", "Words about clocks"))
    return found.get(f"block-{len(before)}", "")


@pytest.mark.parametrize(
    ("src", "text"),
    [
        ("/img/watch-repair.jpg", "Watch repair"),
        ("watch_repair@2x.png", "Watch repair"),
        ("watch-repair-800x600.webp", "Watch repair"),
        ("watch-repair-a8f3e2.jpg?v=3#top", "Watch repair"),
        ("watch%20repair%2017.jpg", "Watch repair"),
        ("WatchRepair.svg", "Watch repair"),
        ("WATCH_REPAIR.JPG", "Watch repair"),
        ("Watch_repair_Berlin.jpg", "Watch repair Berlin"),
        ("iPhone-repair.jpg", "iPhone repair"),
        ("new-york-skyline.jpg", "New york skyline"),
        ("old-town-hall.jpg", "Old town hall"),
        ("screen-printing.jpg", "Screen printing"),
        ("small-dog-large-cat.jpg", "Small dog large cat"),
        ("boeing-747-landing-2.jpg", "Boeing 747 landing"),
        ("team-2024-05-03-berlin.jpg", "Team Berlin"),
        ("cropped-workbench-final-copy-2.jpg", "Workbench"),
        ("phone-screen.jpg", "Phone screen"),
        ("IMG_2034-workbench.jpeg", "Workbench"),
        ("https://cdn.example.com/a/b/alarm-clock.min.jpg", "Alarm clock"),
        ("//cdn.example.com/clock-tower.jpg.webp", "Clock tower"),
        ("fa\u00e7ade.jpg", "Fa\u00e7ade"),
        ("maker's-mark.png", "Maker's mark"),
    ],
)
def test_the_files_name_says_what_is_to_be_seen(src: str, text: str) -> None:
    assert alt(src) == text


@pytest.mark.parametrize(
    "src",
    [
        *("IMG_2034.jpg", "DSC00012.JPG", "a8f3e2.png", "image-1.png", "screenshot.png", "12345.jpg", "800x600.png"),
        *("data:image/png;base64,aGVsbG8gd29ybGQ=", "x.gif", "photo@2x.jpg", "d41d8cd98f00b204e9800998ecf8427e.webp"),
        *(
            "DJI_0042.jpg",
            "PXL_2024.jpg",
            "MVI_1.jpg",
            "GOPR0001.jpg",
            "scan.png",
            "foto-1.jpg",
            "grafik.png",
            "logo.svg",
        ),
        *("left.gif", "old-map-2.png", "AdobeStock_123456.jpeg", "pexels-john-doe-12345.jpg", "iStock-1234.jpg"),
        *("john-doe-x1-unsplash.jpg", "Unbenannt.png", "Screenshot from 2024-01-01 12-00-01.png", "hero-slider-3.jpg"),
        *("Bildschirmfoto%202024-01-01%20um%2012.00.01.png", "WhatsApp Image 2024-01-01 at 12.00.01.jpeg"),
        *("http://[broken/watch.jpg", "/", "qwrtpsdfg.jpg", "a" * 30 + ".jpg"),
        "watches" * 40 + ".jpg",
    ],
)
def test_a_name_that_says_nothing_leaves_the_word_to_the_heading(src: str) -> None:
    assert words_of(src) == []
    assert alt(src, "Our workshop", "3.1. Old clocks") == "Old clocks"
    assert alt(src) == ""


def test_the_nearest_heading_may_stand_behind() -> None:
    found = texts(block("img", "", src="IMG_1.jpg"), block("h1", "Our workshop"), block("h2", "More"))
    assert found == {"block-0": "Our workshop"}


def test_names_are_spelt_as_the_page_spells_them() -> None:
    found = texts(block("p", "We love the Rolex of McQueen."), block("img", "", src="steve-mcqueen-with-rolex.jpg"))
    assert found == {"block-1": "Steve McQueen with Rolex"}
    found = texts(block("h2", "On Repair"), block("p", "We do repair."), block("img", "", src="watch-repair.jpg"))
    assert found == {"block-2": "Watch repair"}


@pytest.mark.parametrize(
    "says",
    [
        {"alt": ""},
        {"role": "presentation"},
        {"role": "None"},
        {"aria_hidden": "true"},
        {"aria_label": "A watch"},
        {"width": "1"},
        {"height": "16px"},
    ],
)
def test_decoration_and_what_has_a_name_stay(says: dict[str, str]) -> None:
    assert alt("watch-repair.jpg", "Our workshop", **says) == ""


@pytest.mark.parametrize("says", [{"width": "100%"}, {"width": "640"}, {"height": "auto"}, {"role": "img"}])
def test_other_images_do_not(says: dict[str, str]) -> None:
    assert alt("watch-repair.jpg", **says) == "Watch repair"


def test_an_image_with_a_text_or_without_an_address_stays() -> None:
    assert changes(block("img", "Ours", src="watch.jpg"), block("img", ""), block("p", "Words")) == {}


def test_no_two_pictures_get_the_same_text() -> None:
    found = texts(
        block("h2", "Our workshop"),
        block("img", "", src="IMG_1.jpg"),
        block("img", "", src="IMG_2.jpg"),
        block("img", "", src="watch-1.jpg"),
        block("img", "", src="watch-2.jpg"),
        block("img", "", src="watch-1.jpg"),
    )
    assert found == {"block-3": "Watch", "block-5": "Watch"}
    found = texts(block("img", "", src="IMG_1.jpg"), block("h2", "Team"), block("p", "Us"), block("h2", "Team"))
    assert found == {"block-0": "Team"}


def test_a_heading_is_of_one_picture_alone() -> None:
    first, second = block("img", "", src="dsc01.jpg"), block("img", "", src="dsc02.jpg")
    assert texts(block("h2", "Team"), first, second) == {}
    assert texts(block("h2", "Team"), first, block("img", "Ours", src="dsc02.jpg")) == {}
    # Decoration is no picture, and the same picture may stand there twice.
    found = texts(block("h2", "Team"), first, block("img", "", src="line.png", alt=""), first)
    assert found == {"block-1": "Team", "block-3": "Team"}
    assert texts(block("h2", "Team"), first, block("h2", "Shop"), second) == {"block-1": "Team", "block-3": "Shop"}


def test_a_title_says_most_then_a_caption() -> None:
    caption = block("figcaption", "The Globe theatre , in London")
    image = block("img", "", src="globe.jpg", title="Portrait  of Shakespeare")
    assert texts(image, caption, lang="en")["block-0"] == "Portrait of Shakespeare"
    found = texts(block("img", "", src="globe.jpg", title="IMG_0042"), caption, lang="en")
    assert found["block-0"] == "The Globe theatre, in London"
    assert texts(image, block("figcaption", "Au Globe", lang="fr"), lang="en")["block-0"] == "Portrait of Shakespeare"
    found = texts(block("img", "", src="globe.jpg"), block("figcaption", "Au Globe", lang="fr"), lang="en")
    assert found == {"block-0": "Globe"}
    found = texts(block("img", "", src="globe.jpg"), block("figcaption", "x" * 126), lang="en")
    assert found == {"block-0": "Globe"}


@pytest.mark.parametrize("title", ["dsc_0042", "photo@2x.jpg", "  "])
def test_a_title_that_says_nothing_is_none(title: str) -> None:
    assert texts(block("img", "", src="globe.jpg", title=title), block("p", "Words")) == {"block-0": "Globe"}


@pytest.mark.parametrize(
    ("src", "said", "text"),
    [
        (
            "geschaeftsfuehrer-mueller.jpg",
            "Unser Geschäftsführer ist Herr Müller.",
            "Geschäftsführer Müller",
        ),
        ("geschaeftsfuehrer-mueller.jpg", "Unser Geschäftsführer ist da.", ""),
        ("Doppelzimmer_Süd.jpg", "Unser Doppelzimmer nach Süd ist hell.", "Doppelzimmer Süd"),
        ("Doppelzimmer_Su\u0308d.jpg", "Unser Doppelzimmer nach Süd ist hell.", "Doppelzimmer Süd"),
        ("strasse-bei-nacht.jpg", "Eine Straße bei Nacht.", "Straße bei Nacht"),
        ("stueck-mit-sahne.jpg", "Noch ein Stück? Mit Sahne? Ja, mit viel Sahne.", "Stück mit Sahne"),
        # The capital of a sentence's first word tells nothing, unless it stands first again.
        ("stueck-mit-sahne.jpg", "Noch ein Stück? Mit Sahne!", ""),
        ("mit-sahne.jpg", "Noch ein Stück? Mit Sahne!", "Mit Sahne"),
        ("boeing-747-landung.jpg", "Von Boeing die Landung.", "Boeing 747 Landung"),
    ],
)
def test_german_is_written_where_the_page_spells_each_word(src: str, said: str, text: str) -> None:
    found = texts(block("p", said), block("img", "", src=src), lang="de")
    assert found.get("block-1", "") == text


def test_a_capital_inside_of_a_word_is_its_spelling_wherever_it_stands() -> None:
    found = texts(block("h1", "iPhone repair"), block("img", "", src="iphone-12-screen-repair.png"))
    assert found == {"block-1": "iPhone 12 screen repair"}
    found = texts(block("h1", "OUR WATCH REPAIR"), block("img", "", src="watch-repair.png"))
    assert found == {"block-1": "Watch repair"}


def test_latin_file_names_say_nothing_on_pages_in_other_scripts() -> None:
    heading = block("h1", "Ремонт часов")
    assert texts(heading, block("img", "", src="remont-chasov.jpg")) == {"block-1": "Ремонт часов"}
    assert texts(heading, block("img", "", src="часы.jpg")) == {"block-1": "Часы"}


def test_headings_that_are_no_description_are_not_used() -> None:
    assert texts(block("h2", "x" * 126), block("img", "", src="IMG_1.jpg")) == {}
    assert texts(block("h2", "Atelier", lang="fr"), block("img", "", src="IMG_1.jpg"), lang="en") == {}
    assert texts(block("h2", "Workshop"), block("img", "", src="watch.jpg", lang="fr"), lang="en") == {}


def test_a_change_of_an_image_says_why() -> None:
    change = changes(block("img", "", src="watch.jpg"), block("p", "Words"))["block-0"]
    assert (change.type, change.content) == ("img", "")
    assert change.reason == "Has no alternative text: its file name describes the picture."
