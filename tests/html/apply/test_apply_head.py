"""Titles, descriptions, alternative texts and heading levels, as the page writes such things."""

from __future__ import annotations

import pytest
from apply_kit import changed, refusal


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("<title>A &amp; B</title><p>x", "A & C", "<title>A &amp; C</title><p>x"),
        ("<TITLE>\n Old </TITLE><p>x", "<b>", "<TITLE>\n &lt;b&gt; </TITLE><p>x"),
        ("<title></title><p>x", "New", "<title>New</title><p>x"),
        ("<title>\n</title><p>x", "New", "<title>New</title><p>x"),
        (
            "<svg><title>s</title></svg><p>x<title>Old</title>",
            "New",
            "<svg><title>s</title></svg><p>x<title>New</title>",
        ),
    ],
)
def test_the_title(before: str, new: str, after: str) -> None:
    assert changed(before, "title", new) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<meta name="description" content="old">', '<meta name="description" content="N &amp; &quot;D&quot; \'x\'">'),
        ("<META NAME=Description CONTENT='old'>", "<META NAME=Description CONTENT='N &amp; \"D\" &#39;x&#39;'>"),
        ("<meta content=old name=description>", "<meta content=\"N &amp; &quot;D&quot; 'x'\" name=description>"),
        ("<meta name='description' content>", "<meta name='description' content='N &amp; \"D\" &#39;x&#39;'>"),
        ('<meta name="description"/>', '<meta name="description" content="N &amp; &quot;D&quot; \'x\'"/>'),
        (
            '<meta property="description" content=""/>',
            '<meta property="description" content="N &amp; &quot;D&quot; \'x\'"/>',
        ),
    ],
)
def test_the_description_is_quoted_as_the_page_quotes(before: str, after: str) -> None:
    assert changed(f"{before}<p>x", "metaDescription", "N & \"D\" 'x'") == f"{after}<p>x"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<title>t</title><p>x", '<title>t</title><meta name="description" content="N"><p>x'),
        ("\r\n  <title>t</title>\r\n<p>x", '\r\n  <title>t</title>\r\n  <meta name="description" content="N">\r\n<p>x'),
        ("\n<TITLE>t</TITLE><p>x", '\n<TITLE>t</TITLE>\n<META NAME="description" CONTENT="N"><p>x'),
        (
            "<meta charset='utf-8' />\n\t<title>t</title><p>x",
            "<meta charset='utf-8' />\n\t<title>t</title>\n\t<meta name='description' content='N' /><p>x",
        ),
    ],
)
def test_a_page_without_description_gets_one_behind_its_title(before: str, after: str) -> None:
    assert changed(before, "metaDescription", "N") == after


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ('<img src="a" alt="old">', "new", '<img src="a" alt="new">'),
        ("<img src='a' alt=''>", "a 'b'", "<img src='a' alt='a &#39;b&#39;'>"),
        ("<img src=a alt=old>", "new", "<img src=a alt=new>"),
        ("<img src=a alt=old>", "new words", '<img src=a alt="new words">'),
        ("<img src=a alt=old>", "", '<img src=a alt="">'),
        ("<img src='a' alt>", "new", "<img src='a' alt='new'>"),
        ("<img src='a' alt= >", "new", "<img src='a' alt='new'>"),
        ("<img src='a' width=1 />", "new", "<img src='a' alt='new' width=1 />"),
        ("<p class='x'>a<img>", "new", "<p class='x'>a<img alt='new'>"),
        ("<IMG SRC=a>", "new", '<IMG SRC=a ALT="new">'),
        ("<img alt=one ALT=two src=a>", "new", "<img alt=new ALT=two src=a>"),
    ],
)
def test_alternative_text(before: str, new: str, after: str) -> None:
    assert changed(before, before.count("<p"), new) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<h1>A</h1><h4 class=x>B</h4><h3>C</h3>", "<h1>A</h1><h3 class=x>New</h3><h3>C</h3>"),
        ("<h3>A</h3><H4>B</H4 >", "<h3>A</h3><H3>New</H3 >"),
    ],
)
def test_a_heading_gets_another_level(before: str, after: str) -> None:
    assert changed(before, 1, "New", "h3") == after


def test_the_level_alone() -> None:
    assert changed("<h2>A</h2><h4>B</h4>", 1, "B", "h3") == "<h2>A</h2><h3>B</h3>"


@pytest.mark.parametrize(
    ("before", "where", "kind", "reason"),
    [
        ("<p>x", "title", "", "the page has no <title>"),
        ("<p>x", "metaDescription", "", "no <title> that a new one could follow"),
        ("<svg><title>t</title></svg><p>x", "title", "", "the page has no <title>"),
        ("<p>x", 0, "h2", "only headings can change their type, not <p> to <h2>"),
        ("<h1>x</h1>", 0, "p", "only headings can change their type, not <h1> to <p>"),
        ("<h3>x</h4>", 0, "h2", "no end tag of its own"),
        ("<h3>x", 0, "h2", "no end tag of its own"),
    ],
)
def test_a_change_without_a_place_in_the_page_is_refused(before: str, where: str | int, kind: str, reason: str) -> None:
    assert reason in refusal(before, where, "new", kind)


def test_a_title_that_fell_into_the_body_is_the_title() -> None:
    html = "<title></title><p>x<title>t</title>"
    assert changed(html, "metaDescription", "N") == f'{html}<meta name="description" content="N">'
    assert changed(html, "title", "u") == html.replace("t</", "u</")
