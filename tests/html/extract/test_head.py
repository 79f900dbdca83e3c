"""What the page says about itself: what is absent is left out, the first of several wins."""

from __future__ import annotations

import pytest
from extract_kit import PATH, read, skipped
from msgspec import UNSET

from nimbus_tasks.html.extract import Rules, extract_page
from nimbus_tasks.model.page_map import FullPage, PageMap


def head(html: str) -> dict[str, str]:
    return read(html + "<body><p>a").head


def test_a_full_head() -> None:
    assert head(
        """<!doctype html><html lang=de><head><meta charset=utf-8>
        <title> A
          title </title><title>another</title>
        <meta name=Description content="  about\n it ">
        <meta name=author content=B><meta name=keywords content="c, d"><meta name=author content=E>
        <meta property=og:title content=F><meta name=twitter:card content=summary>
        <meta property="article:published_time" content=2024-01-01>
        <meta name=robots content="max-snippet:-1">
        <link rel="Canonical" href="https://example.org/">
        <link rel="alternate" hreflang="fr" href="/fr"><link rel=alternate href=/feed>
        <link rel=stylesheet href=x.css>"""
    ) == {
        "lang": "de",
        "title": "A title",
        "metaDescription": "about it",
        "author": "B",
        "keywords": "c, d",
        "og:title": "F",
        "twitter:card": "summary",
        "article:published_time": "2024-01-01",
        "robots": "max-snippet:-1",
        "canonical": "https://example.org/",
        "hreflang:fr": "/fr",
    }


def test_absent_and_empty_facts_are_left_out() -> None:
    assert head("<title> </title><meta name=description content=''><meta name=' ' content=x>") == {}
    assert head("<link rel=canonical href=''><meta name=author><meta http-equiv=x content=y>") == {}
    assert head("<meta name=author content=''><meta name=author content=B>") == {"author": "B"}


def test_the_best_icon_wins() -> None:
    icons = "<link rel=mask-icon href=m><link rel=apple-touch-icon href=a>"
    assert head(icons) == {"favicon": "a"}
    assert head(icons + "<link rel='shortcut icon' href=i><link rel=icon href=j>") == {"favicon": "i"}


def test_a_meta_cannot_take_the_name_of_a_fact() -> None:
    assert head("<meta name=title content=x><meta name=canonical content=y>") == {}


def test_a_drawing_has_no_title_of_the_page() -> None:
    assert read("<body><svg><title>a</title></svg><p>b").head == {}


def test_head_elements_in_the_body_are_read() -> None:
    assert read("<head>x<title>a</title><meta name=author content=b><p>c").head == {"title": "a", "author": "b"}


def test_lang_may_be_written_as_xml() -> None:
    assert head("<html xml:lang=en>") == {"lang": "en"}


HEAD = """<html lang=en><title>a</title><meta name=build content=1><meta name=description content=b>
    <meta property=og:title content=c><meta property=og:image content=/a.png><meta property=og:image content=/b.png>
    <meta name=nimbus:stamp content=2><meta name=nimbus:brand content=rolex><link rel=canonical href=/a>
    <link rel=alternate hreflang=de href=/de><link rel=next href=/next><link rel=previous href=/0>
    <link rel=icon href=/i.png>
    <script type="application/ld+json">{"dateModified": 1}</script><body><p>text"""


@pytest.mark.parametrize(
    ("patterns", "gone"),
    [
        (["build"], {"build"}),
        ([" Build "], {"build"}),
        (["no*"], set()),
        (["description"], {"metaDescription"}),
        (["metaDescription", "title", "lang"], {"metaDescription", "title", "lang"}),
        (["og:*"], {"og:title", "og:image", "media"}),
        (["canonical", "favicon", "hreflang:*"], {"canonical", "favicon", "hreflang:de", "alternate de"}),
        (["next", "json-ld"], {"alternate next", "structured_data"}),
        (["next", "prev"], {"alternate next", "alternate prev"}),
        (["nimbus:s*"], {"stamp"}),
    ],
)
def test_values_of_the_head_are_left_out_by_their_names(patterns: list[str], gone: set[str]) -> None:
    def values(page: PageMap) -> set[str]:
        """Return the names of all that comes from the head."""
        assert isinstance(page, FullPage)
        others = {name for name in ("media", "structured_data") if getattr(page, name) is not UNSET}
        if page.alternates is not UNSET:
            others |= {f"alternate {each.hreflang or each.rel}" for each in page.alternates}
        return set(page.head) | set(page.dimensions) | others

    assert values(read(HEAD)) - values(read(HEAD, ignore_head=patterns)) == gone
    page = extract_page(PATH, HEAD.encode(), Rules(ignore_head=tuple(patterns)))
    assert page.matched == (set() if patterns == ["no*"] else set(patterns))


def test_elements_of_the_head_are_left_out_by_attribute_and_by_selector() -> None:
    ignored = HEAD.replace("<meta", "<meta data-nimbus-ignore").replace("<link", "<link data-nimbus-ignore")
    page = read(ignored.replace("<script", "<script data-nimbus-ignore"))
    assert isinstance(page, FullPage)
    assert (page.head, page.dimensions) == ({"lang": "en", "title": "a"}, {})
    assert (page.alternates, page.structured_data, page.media, page.assets) == (UNSET, UNSET, UNSET, UNSET)
    selectors = ("title", 'head > meta[name="build"]')
    by_selector = extract_page(PATH, HEAD.encode(), Rules(ignore=(*selectors, ".nowhere")))
    assert isinstance(by_selector.page, PageMap)
    assert read(HEAD).head.keys() - by_selector.page.head.keys() == {"title", "build"}
    assert by_selector.matched == set(selectors)


@pytest.mark.parametrize("rules", [{"ignore_head": ("robots",)}, {"ignore": ("meta",)}])
def test_what_robots_are_asked_holds_although_it_is_left_out(rules: dict[str, tuple[str]]) -> None:
    assert "noindex" in skipped("<meta name=robots content=NoIndex><p>a", **rules)
    assert read("<meta name=robots content=follow><p>a", **rules).head == {}
