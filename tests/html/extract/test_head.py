"""What the page says about itself: what is absent is left out, the first of several wins."""

from __future__ import annotations

from reading import read


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
