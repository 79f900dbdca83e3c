"""Each text of a page belongs to one block: the nearest element around it that is one."""

from __future__ import annotations

import pytest
from extract_kit import blocks, found_by_selectors, read, texts


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h1>A</h1><p>b <em>c</em>d</p>", [("h1", "A"), ("p", "b cd")]),
        ("<ul><li>a<li>b</ul>", [("li", "a"), ("li", "b")]),
        ("<ul><li>a <ul><li>b</ul> c</ul>", [("li", "a c"), ("li", "b")]),
        ("<ul><li>a<p>b</p>c</ul>", [("li", "a c"), ("p", "b")]),
        ("<table><tr><th>a<td>b<td><p>c</table>", [("th", "a"), ("td", "b"), ("p", "c")]),
        ("<dl><dt>a<dd>b</dl>", [("dt", "a"), ("dd", "b")]),
        ("<div>a<section>b</section></div>", [("div", "a"), ("section", "b")]),
        ("a<p>b</p>c", [("body", "a c"), ("p", "b")]),
        ("<details><summary>a</summary>b</details>", [("details", "b"), ("summary", "a")]),
        ("<figure><img alt=a><figcaption>b</figure>", [("img", "a"), ("figcaption", "b")]),
        ("<a href=x><div><h2>a</h2>b</div></a>", [("div", "b"), ("h2", "a")]),
        ("<p>a<button>b</button><label>c</label>", [("p", "a b c")]),
        ("<blockquote>a<p>b</blockquote>", [("blockquote", "a"), ("p", "b")]),
    ],
)
def test_text_belongs_to_the_nearest_block(html: str, expected: list[tuple[str, str]]) -> None:
    assert texts(html) == expected


def test_words_do_not_fuse_at_blocks_breaks_and_images() -> None:
    assert texts("<p>a<br>b<img alt=c>d") == [("p", "a b d"), ("img", "c")]
    assert texts("<div>a<p>x</p>b</div>") == [("div", "a b"), ("p", "x")]
    assert texts("<p>a<b>b</b>c<wbr>d") == [("p", "abcd")]


def test_white_space_is_collapsed_as_html_does() -> None:
    assert texts("<p>  a \n\t b\f\rc\u00a0 d\u2003e\u00a0</p>") == [("p", "a b c\u00a0 d\u2003e\u00a0")]
    assert texts("<p>a<!-- x -->b</p>") == [("p", "ab")]


def test_pre_keeps_its_white_space() -> None:
    assert texts("<pre>\na\n  <b>b</b><br>c\n</pre>") == [("pre", "a\n  b\nc\n")]
    assert texts("<pre>a <p>b  c</p> d</pre>") == [("pre", "a \n d"), ("p", "b c")]


def test_blocks_without_text_are_dropped_but_images_stay() -> None:
    assert texts("<p>&nbsp;</p><p> </p><td></td><p>a</p><hr><img src=x>") == [("p", "a"), ("img", "")]


def test_every_image_is_a_block_of_its_own() -> None:
    html = '<p>a <picture><source srcset=y><img src=x alt=" b  c "></picture></p>'
    assert [(block.type, block.content, block.attributes) for block in blocks(html)] == [
        ("p", "a", {}),
        ("img", "b c", {"src": "x", "alt": " b  c "}),
    ]


def test_unknown_elements_are_text_in_text_and_blocks_in_containers() -> None:
    assert texts("<p>a<x-b>b<x-c>c</x-c></x-b>d") == [("p", "abcd")]
    assert texts("<div>a<x-b>b<x-c>c</x-c></x-b></div>") == [("div", "a"), ("x-b", "b"), ("x-c", "c")]
    assert texts("<div>a <span>b<x-c>c</x-c></span></div>") == [("div", "a bc")]


def test_formulas_are_text() -> None:
    html = "<p>a <math><mi>x</mi><mo>=</mo><annotation>x=</annotation></math></p><div><math><mi>y</mi></math></div>"
    assert texts(html) == [("p", "a x="), ("div", "y")]


@pytest.mark.parametrize(
    "hidden",
    [
        *("<script>a</script>", "<style>a</style>", "<template><p>a</template>", "<noscript><p>a</noscript>"),
        *("<svg><title>a</title><text>a</text></svg>", "<iframe>a</iframe>", "<object>a</object>"),
        *("<canvas>a</canvas>", "<audio>a</audio>", "<video><p>a</video>", "<textarea>a</textarea>"),
        *("<select><option>a</select>", "<datalist><option>a</datalist>", "<dialog>a</dialog>", "<!-- a -->"),
        *("<p hidden>a", "<b hidden=hidden>a</b>", "<div popover><p>a</div>", "<p style='display:none'>a"),
        *("<p style='color:red; VISIBILITY : hidden'>a", "<div data-nimbus-ignore>a<p>a<img alt=a></div>"),
        "<div hidden><div hidden>a</div></div>",
        "<template shadowrootmode=open><p>a</p></template>",
        "<title>a</title>",
    ],
)
def test_what_nobody_sees_gives_no_text(hidden: str) -> None:
    html = f"<!doctype html><body><div>b {hidden}</div><p>c"
    assert texts(html) == [("div", "b"), ("p", "c")]
    assert found_by_selectors(html, read(html)) == ["div", "p"]


def test_text_that_may_be_shown_later_is_read() -> None:
    html = "<p hidden=until-found>a<p style='display:block; none:1'>b<dialog open>c</dialog>"
    assert texts(html) == [("p", "a"), ("p", "b"), ("dialog", "c")]


def test_settings_can_ignore_parts() -> None:
    html = "<p>a<a class=headerlink>#</a></p><aside id=x>b<p>c</aside>"
    assert texts(html, ignore=(".headerlink", "#x, #y")) == [("p", "a")]


def test_attributes_are_kept_as_written_but_for_event_handlers() -> None:
    block = blocks('<p id=x class="b  a" data-x disabled onclick="y()" ONLOAD=z title="">a')[0]
    assert block.attributes == {"id": "x", "class": "b  a", "data-x": "", "disabled": "", "title": ""}


@pytest.mark.parametrize(
    ("html", "selectors"),
    [
        ("<p id=a>1<p>2", ["#a", "html > body > p:nth-of-type(2)"]),
        ("<p id=a>1<p id=a>2", ["html > body > p:nth-of-type(1)", "html > body > p:nth-of-type(2)"]),
        ("<p id=a>1<p id=A>2", ["html > body > p:nth-of-type(1)", "html > body > p:nth-of-type(2)"]),
        ("<!doctype html><p id=a>1<p id=A>2", ["#a", "#A"]),
        # In a drawing, in something hidden or in what is read before, an id is still taken.
        ("<svg><g id=a /></svg><p id=a>1", ["html > body > p"]),
        ("<p hidden id=a>0<p id=a>1", ["html > body > p:nth-of-type(2)"]),
        ("<p id=a>1<ul><li><b id=a>2</b></ul>", ["html > body > p", "html > body > ul > li"]),
    ],
)
def test_selectors_trust_an_id_only_if_it_is_the_only_one(html: str, selectors: list[str]) -> None:
    page = read(html)
    assert list(page.selector_map.values()) == selectors
    found_by_selectors(html, page)


@pytest.mark.parametrize("identity", ["1a", "a b", "a:b.c", "-", "--", "é", '"', "\\", "a\\", "#", "\ufffd", "-1"])
def test_selectors_find_any_id(identity: str) -> None:
    html = f"<div id='{identity}'><p>a</p></div><p>b"
    assert found_by_selectors(html, read(html)) == ["p", "p"]


def test_ids_count_over_the_whole_page() -> None:
    assert list(read("<main><p>a<h1>b<img></main>").selector_map) == ["block-0", "block-1", "block-2"]
