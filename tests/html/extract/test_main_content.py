"""The main content: where the settings say, else where the page says and holds enough text, else the body."""

from __future__ import annotations

import pytest
from extract_kit import read, texts

LONG = "word " * 50


@pytest.mark.parametrize(
    ("content", "selector"),
    [
        (f"<main><p>{LONG}</main>", "main"),
        (f"<div role=main><p>{LONG}</div>", '[role="main"]'),
        (f"<div data-pagefind-body><p>{LONG}</div><main>b</main>", "[data-pagefind-body]"),
        (f"<article><p>{LONG}</article>", "article"),
        (f"<div id=content><p>{LONG}</div>", "#content"),
        (f"<div class='x body'><p>{LONG}</div>", "div.body"),
        (f"<section class=content><p>{LONG}</section>", ".content"),
        # Two articles are a list of something, and their list the content.
        (f"<div id=main><article>{LONG}</article><article>{LONG}</article></div>", "#main"),
        # Hidden doubles are none, but the short selector would find them too.
        (f"<main hidden>{LONG}</main><main><p>{LONG}</main>", "html > body > main:nth-of-type(2)"),
    ],
)
def test_the_page_says_where(content: str, selector: str) -> None:
    page = read(f"<!doctype html><body><nav>menu</nav>{content}<footer>end</footer>")
    assert page.main_selector == selector
    assert not any("menu" in block.content for block in page.above_fold_blocks)


def test_an_element_with_little_text_is_not_the_main_content() -> None:
    assert read(f"<div>{LONG}</div><main>a</main>").main_selector == "body"
    assert read(f"<article>few</article><div id=content>{LONG}</div>").main_selector == "#content"


def test_with_the_headline_a_tenth_of_the_text_is_enough() -> None:
    rest = f"<div>{LONG}</div>"
    assert read(f"<main><h1>{LONG[:40]}</h1></main>{rest}").main_selector == "main"
    assert read(f"<main><h2>{LONG[:40]}</h2></main>{rest}").main_selector == "body"
    assert read(f"<main><h1>{LONG[:10]}</h1></main>{rest}").main_selector == "body"


def test_indentation_and_scripts_are_no_text() -> None:
    nothing = "<script>" + "x" * 9999 + "</script>" + "\n     " * 999
    assert read(f"<div>a {nothing}</div><main>{LONG}</main>").main_selector == "main"
    assert read(f"<div>{LONG}</div><main>a {nothing}</main>").main_selector == "body"


def test_a_page_that_marks_nothing_is_its_body_without_its_surroundings() -> None:
    html = """<header>a</header><nav>b</nav><div role=search>c</div><div role=banner>d</div>
    <section><header>e</header><p>f</p><footer>g</footer></section><p>h</p><aside>i</aside>
    <div role=complementary>j</div><div role=navigation>k</div><div role=contentinfo>l</div><footer>m</footer>"""
    assert texts(html) == [("header", "e"), ("p", "f"), ("footer", "g"), ("p", "h")]


def test_header_and_footer_in_the_main_content_are_content() -> None:
    assert texts(f"<main><header>a</header><p>{LONG}</p></main><footer>c")[0] == ("header", "a")


def test_settings_win() -> None:
    html = f"<div class=a><p>x</div><main>{LONG}</main>"
    assert texts(html, main=".a") == [("p", "x")]
    assert read(html, main=".a").main_selector == ".a"


def test_selectors_without_a_match_fall_back_to_the_page() -> None:
    assert read(f"<main>{LONG}</main>", main=".a").main_selector == "main"


def test_selectors_with_several_matches_take_the_first() -> None:
    page = read("<!doctype html><div class=a>x</div><div class=a>y</div>", main=".a")
    assert page.main_selector == "html > body > div:nth-of-type(1)"
    assert [block.content for block in page.above_fold_blocks] == ["x"]


def test_the_main_content_may_own_text_whatever_it_is() -> None:
    assert texts("<p>a <span class=m>b <x-y>c</x-y></span></p>", main=".m") == [("span", "b c")]
    assert texts("<x-m>b <x-y>c</x-y></x-m>", main="x-m") == [("x-m", "b"), ("x-y", "c")]
