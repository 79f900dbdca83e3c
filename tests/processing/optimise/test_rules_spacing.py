"""Blanks and marks: slips go, all that could be meant stays."""

from __future__ import annotations

import pytest
from optimise_kit import GOOD_HEAD, block, changes, texts, tidy


@pytest.mark.parametrize(
    ("slip", "mended"),
    [
        ("Two  blanks", "Two blanks"),
        ("Line\n\n  and line", "Line and line"),
        ("A full stop.\u00a0 Then more.", "A full stop. Then more."),
        ("A word \u00a0then more", "A word then more"),
        ("A word \u00a0 then more", "A word then more"),
        ("Watches,, clocks", "Watches, clocks"),
        ("Watches,,, clocks", "Watches, clocks"),
        ("Watches , clocks", "Watches, clocks"),
        ("Watches ,, clocks", "Watches, clocks"),
        ("Watches ,,, and more ,, clocks", "Watches, and more, clocks"),
        ("Welcome!!", "Welcome!"),
        ("Welcome!!! And more.", "Welcome! And more."),
        ("“Welcome!!” he said", "“Welcome!” he said"),
        ("Really??", "Really?"),
        ("Welcome !", "Welcome!"),
        ("Welcome !! And more", "Welcome! And more"),
        ("(Welcome !) he said", "(Welcome !) he said"),
        ("L'heure , c'est l'heure", "L'heure, c'est l'heure"),
        ("Часы , ремонт", "Часы, ремонт"),
        ("One , two , three , four", "One, two, three, four"),
        ("Ask for a quote ,we answer ,gladly", "Ask for a quote, we answer, gladly"),
        ("5XL ! Preise", "5XL! Preise"),
        ("Preise ab 5 EUR .", "Preise ab 5 EUR."),
        ("Open from 9 to 5 .", "Open from 9 to 5."),
        ("Tickets at the door? “Yes .”", "Tickets at the door? “Yes.”"),
        ("The end of it . And more !", "The end of it. And more!"),
        ("One thing . Another . “Yes . A third.”", "One thing. Another. “Yes. A third.”"),
        ("Watches & clocks , repaired", "Watches & clocks, repaired"),
    ],
)
def test_slips_of_typing_are_mended(slip: str, mended: str) -> None:
    assert tidy(slip) == mended


@pytest.mark.parametrize(
    "text",
    [
        "And so on...",
        "And So . . .",
        "Run git add .",
        "Home . About",
        "Run git add . Then commit.",
        "see docs . for more.",
        "Nf3 ! Then",
        "if (a && b) , then",
        "take &x , then",
        "write &amp; , then",
        "And so on… more",
        "What?! Really!? Yes?!",
        "3,5 and 1,000,000 and 0.5",
        "from 1,,2 to 3 , 4",
        "f(a, , b) and x = y ,z",
        "see https://example.com/a,,b , then",
        "write to a.b@example.com , please",
        "www.example.com , then",
        "Nf3!! and Qxd5!!",
        "n!! is a double factorial",
        "name!! forces",
        "the ? operator",
        "the ! sign",
        "Beware of .NET , or of config.nice , then",
        "put a : between them",
        "two\u00a0\u00a0no-break spaces",
        "10\u00a0000 km",
        "1.0 \u00a0 Title",
        "a \u00a0\u00a0 b",
        "list: a, , b",
        "`a ,b` quoted",
        "starts with ,",
        "word,,",
        "Watches and clocks,,,",
        "中文 , 中文,, 中文!!",
        "ไทย , ไทย",
        "हिन्दी , हिन्दी",
        "¡¡Hola!!",
        "Notre atelier ? Le voici",
        "So aa" + " ,bb" * 30,  # not a slip
        "So aa  bb" * 20_000,
    ],
)
def test_what_could_be_meant_stays(text: str) -> None:
    if "name!!" in text:
        # Prose that quotes code stands on pages with code in it.
        assert texts(block("p", text), block("pre", "x"), lang="en") == {}
    else:
        assert tidy(text, lang="fr" if "atelier" in text else "en") == text


@pytest.mark.parametrize("lang", ["fr", "fr-CA", "FR", "br", ""])
def test_marks_stand_apart_where_the_language_sets_them_so(lang: str) -> None:
    for text in ("Bonjour !", "Pourquoi ?", "Voici :", "Voici ; voilà", "« Oui »", "Bonjour\u00a0!"):
        assert tidy(text, lang=lang) == text


@pytest.mark.parametrize("kind", ["pre", "code", "kbd", "samp", "textarea", "listing", "xmp", "plaintext"])
def test_code_is_never_touched(kind: str) -> None:
    assert tidy("a  b ,, c ,d!!  ", kind) == "a  b ,, c ,d!!  "


def test_prose_beside_code_keeps_its_marks_but_not_its_double_blanks() -> None:
    found = texts(block("pre", "x"), block("p", "Watches , clocks  and"), lang="en")
    assert found == {"block-1": "Watches , clocks and"}


def test_a_quotation_in_another_language_is_nobodys_to_mend() -> None:
    assert texts(block("p", "Bonjour !", lang="fr"), block("p", "Hello !"), lang="en") == {"block-1": "Hello!"}
    assert texts(block("p", "Hello !", lang="en-GB"), lang="en-US") == {"block-0": "Hello!"}


@pytest.mark.parametrize("lang", ["zh", "ja-JP", "ko", "th"])
def test_languages_with_other_marks_are_left_alone_even_where_letters_are_latin(lang: str) -> None:
    assert tidy("Watches , clocks!!", lang=lang) == "Watches , clocks!!"


def test_the_head_is_mended_too_but_a_separator_in_a_title_stays() -> None:
    head = {"title": "Watches , clocks : Meier !", "metaDescription": GOOD_HEAD["metaDescription"] + " Come in !"}
    found = changes(block("p", "Words"), head=head, lang="en")
    assert found["title"].optimized_content == "Watches, clocks : Meier !"
    assert found["title"].type == "title"
    assert found["metaDescription"].optimized_content == GOOD_HEAD["metaDescription"] + " Come in!"
    assert found["metaDescription"].type == "meta"


def test_each_change_says_why() -> None:
    found = changes(block("p", "Two  blanks"), block("p", "Welcome!!"), lang="en")
    assert found["block-0"].reason == "Has doubled blanks."
    assert found["block-1"].reason == "Punctuation is doubled, or separated from its word."


def test_a_text_of_blanks_alone_is_not_emptied() -> None:
    assert tidy("   ") == "   "
