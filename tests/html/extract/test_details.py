"""What a map holds besides texts: links, marks, lists, tables, groups, media, other forms of the page, local files."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from extract_kit import read, texts

from nimbus_tasks.html.addresses import base_of, url_of
from nimbus_tasks.html.extract import Rules, extract


def details(html: str, path: str = "dist/docs/page.html") -> list[dict[str, Any]]:
    """Return the blocks of a page as JSON, without ids, types and attributes."""
    page = mapped(html, path)
    blocks = page["above_fold_blocks"] + page["rest_of_page_blocks"]
    return [
        {name: value for name, value in block.items() if name not in ("id", "type", "attributes")} for block in blocks
    ]


def mapped(html: str, path: str = "dist/docs/page.html") -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(extract(path, html.encode(), Rules(folder="dist"))))
    return found


def marks(html: str) -> list[tuple[str, str]]:
    """Return the marks of the first block, each with its words."""
    (block, *_) = details(html)
    return [(mark["type"], block["content"][mark["start"] : mark["end"]]) for mark in block.get("marks", ())]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a <em>b</em> <b>c</b> <i>d</i> <tt>e</tt>", [("em", "b"), ("strong", "c"), ("em", "d"), ("code", "e")]),
        ("<p>H<sub>2</sub>O<sup>+</sup> <kbd>x</kbd>", [("sub", "2"), ("sup", "+"), ("kbd", "x")]),
        ("<p>a <em> b </em> c", [("em", "b")]),
        ("<p>a <em> b</em>c", [("em", "b")]),
        ("<p><b>a <i>b</i></b><i>c</i>", [("strong", "a b"), ("em", "b"), ("em", "c")]),
        ("<p><b><i>a</i></b>", [("strong", "a"), ("em", "a")]),
        ("<p>a<b></b><i> </i>b", []),
        ("<p>a <b hidden>b</b><i>c</i>", [("em", "c")]),
        ("<p>a<i> </i>c <b>d</b>", [("strong", "d")]),
        ("<p>a <template><b>b</b></template><i>c</i>", [("em", "c")]),
        ("<p>\U0001f600 <b>\U0001f600b</b>", [("strong", "\U0001f600b")]),
        ("<p>\U000f0000 <b>b\U000f0001</b>\U00100000", [("strong", "b\U000f0001")]),
        ("<p>a\x1c <b>b\x1d</b>", [("strong", "b\x1d")]),
        ("<pre>a <b> b\n</b><code>c</code></pre>", [("strong", " b\n")]),
        ("<p>a <b>b<br>c</b> d", [("strong", "b c")]),
        ("<p>a<b> <img alt=x> b</b>", [("strong", "b")]),
    ],
)
def test_marks_are_ranges_of_the_content(html: str, expected: list[tuple[str, str]]) -> None:
    assert marks(html) == expected


def test_marks_of_pre_leave_out_the_code_that_it_is() -> None:
    assert details("<pre class='language-py'><code>a\n  b</code></pre>") == [{"content": "a\n  b", "language": "py"}]


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<div class='highlight-python3 notranslate'><div class=highlight><pre>a</pre></div></div>", "python3"),
        ("<pre data-lang=Rust>a</pre>", "rust"),
        ("<pre><code class='hljs lang-js'>a</code></pre>", "js"),
        ("<pre class='brush: xml; x'>a</pre>", "xml"),
        ("<figure class='highlight js'><div><pre>a</pre></div></figure>", "js"),
        ("<div class='highlight-default'><pre>a</pre></div>", None),
        ("<pre>a</pre>", None),
    ],
)
def test_the_language_of_code_is_what_its_classes_name(html: str, language: str | None) -> None:
    assert details(html)[0].get("language") == language


#: Two lines of code, as generators number them.
NUMBERED = [
    # Pygments, in Sphinx and MkDocs
    "<div class='highlight-py notranslate'><div class=highlight><pre><span></span><span class=linenos>1</span>"
    "<b>a</b>:\n"
    "<span class=linenos>2</span>  7\n</pre></div></div>",
    "<div class='highlight-py notranslate'><div class=highlight><table class=highlighttable><tr><td class=linenos>"
    "<div class=linenodiv><pre><span class=normal>1</span>\n<span class=normal>2</span></pre></div></td>"
    "<td class=code><div><pre><b>a</b>:\n  7\n</pre></div></td></tr></table></div></div>",
    "<div class='language-py highlight'><table class=highlighttable><tr><td class=linenos><div class=linenodiv><pre>"
    "<span></span><span class=normal><a href=#a1>1</a></span>\n<span class=normal><a href=#a2>2</a></span></pre></div>"
    "</td><td class=code><div><pre><span></span><code><a id=a1 href=#a1></a><b>a</b>:\n<a id=a2 href=#a2></a>  7\n"
    "</code></pre></div></td></tr></table></div>",
    # Chroma, in Hugo
    "<div class=highlight><pre class=chroma><code class=language-py data-lang=py><span class=line>"
    "<span class=ln>1</span>"
    "<span class=cl><b>a</b>:\n</span></span><span class=line><span class=ln>2</span><span class=cl>  7\n</span></span>"
    "</code></pre></div>",
    "<div class=highlight><div class=chroma><table class=lntable><tr><td class=lntd><pre class=chroma><code>"
    "<span class=lnt>1\n</span><span class=lnt>2\n</span></code></pre></td><td class=lntd><pre class=chroma>"
    "<code class=language-py data-lang=py><b>a</b>:\n  7\n</code></pre></td></tr></table></div></div>",
    # Rouge, in Jekyll
    "<figure class=highlight><pre><code class=language-py data-lang=py><table class=rouge-table><tbody><tr>"
    "<td class='gutter gl'><pre class=lineno>1\n2\n</pre></td><td class=code><pre><b>a</b>:\n  7\n</pre></td></tr>"
    "</tbody></table></code></pre></figure>",
    "<div class='language-py highlighter-rouge'><div class=highlight><pre class=highlight><code>"
    "<table class=rouge-table>"
    "<tbody><tr><td class='rouge-gutter gl'><pre class=lineno>1\n2\n</pre></td><td class=rouge-code><pre><b>a"
    "</b>:\n  7\n"
    "</pre></td></tr></tbody></table></code></pre></div></div>",
    # CodeRay, in Asciidoctor; Hexo; Prism; VitePress
    "<pre class=CodeRay><code data-lang=py><span class=line-numbers><a href=#1>1</a></span><b>a</b>:\n"
    "<span class=line-numbers>2</span>  7\n</code></pre>",
    "<figure class='highlight py'><table><tr><td class=gutter><pre><span class=line>1</span><br>"
    "<span class=line>2</span>"
    "<br></pre></td><td class=code><pre><b>a</b>:\n  7\n</pre></td></tr></table></figure>",
    "<pre class='line-numbers language-py'><code><b>a</b>:\n  7\n<span aria-hidden=true class=line-numbers-rows>"
    "<span>1</span><span>2</span></span></code></pre>",
    "<div class='language-py line-numbers-mode'><pre><code><b>a</b>:\n  7\n</code></pre>"
    "<div class=line-numbers-wrapper><span class=line-number>1</span><br><span class=line-number>2</span><br>"
    "</div></div>",
]


@pytest.mark.parametrize("html", NUMBERED)
def test_numbers_of_lines_are_no_part_of_the_code(html: str) -> None:
    (block,) = details(html)
    code = {name: block[name] for name in ("content", "language", "marks")}
    assert code == {"content": "a:\n  7\n", "language": "py", "marks": [{"type": "strong", "start": 0, "end": 1}]}
    assert "table" not in block


def test_numbers_that_are_content_stay() -> None:
    html = (
        "<pre class=line-numbers>42</pre><p class=ln>7</p><p><span class=lineno>Line 3</span>"
        "<table><tr><td class=gutter><td>8<td class=gutter>a</table>"
    )
    assert [block["content"] for block in details(html)] == ["42", "7", "Line 3", "8", "a"]


def test_code_with_line_numbers_stands_in_the_cell_around_it() -> None:
    _, code = details(f"<table><tr><td>a<td>{NUMBERED[1]}</table>")
    assert code["table"] == {"id": "table-0", "row": 0, "column": 1}


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ("<p>a <a href=x.html>b</a>", [("b", "/docs/x.html")]),
        ("<p><a href=' ../a b.html?q=ü#x '>b", [("b", "/a%20b.html?q=%C3%BC#x")]),
        ("<p><a href=./x/../y/.>b", [("b", "/docs/y/")]),
        ("<p><a href=/../../x>b", [("b", "/x")]),
        ("<p><a href=?q>b</a> <a href=#f>c</a> <a href=''>d", [("b", "?q"), ("c", "#f"), ("d", "")]),
        (
            "<p><a href=https://example.org/A>b</a> <a href=//e.org/x>c</a> <a href=mailto:a@b.c>d",
            [("b", "https://example.org/A"), ("c", "//e.org/x"), ("d", "mailto:a@b.c")],
        ),
        ("<p><a name=x>b</a> <a>c", []),
        ("<p>a <a href=x aria-label='The  icon'><svg></svg></a> b", [("The icon", "/docs/x")]),
        ("<p>a <a href=#x></a> b <a href=y></a>", [("", "/docs/y")]),
        (
            "<base href=https://e.org/d/e?f><p><a href=x>b</a> <a href=/y>c</a> <a href=?z>d",
            [("b", "https://e.org/d/x"), ("c", "https://e.org/y"), ("d", "https://e.org/d/e?z")],
        ),
        ("<base href=data:,x><p><a href=x>b", [("b", "/docs/x")]),
        ("<base href=sub/><p><a href=x>b", [("b", "/docs/sub/x")]),
    ],
)
def test_links_are_resolved(html: str, links: list[tuple[str, str]]) -> None:
    found = details(html)[0].get("links", [])
    own = "/docs/page.html"
    expected = [(text, own + href if not href or href[0] in "?#" else href) for text, href in links]
    assert [(link["text"], link["href"]) for link in found] == expected


def test_rel_is_kept_and_each_link_has_a_mark() -> None:
    (block,) = details("<p><a href=a rel=' nofollow  me '>b</a> <em>c</em> <a href=d>e</a>")
    assert block["links"] == [
        {"text": "b", "href": "/docs/a", "rel": "nofollow me"},
        {"text": "e", "href": "/docs/d"},
    ]
    assert [mark["type"] for mark in block["marks"]] == ["a", "em", "a"]


def test_a_link_around_blocks_is_the_link_of_each() -> None:
    title, rest, image = details("<main><a href=x><h2>a <em>b</em></h2><p>c<img alt=d></p></a></main>")
    assert title["links"] == [{"text": "a b", "href": "/docs/x"}]
    assert [mark["type"] for mark in title["marks"]] == ["a", "em"]
    assert rest["links"] == [{"text": "c", "href": "/docs/x"}]
    assert image["links"] == [{"text": "d", "href": "/docs/x"}]


def test_a_link_around_words_and_an_image_is_the_link_of_both() -> None:
    words, image = details("<p><a href=x>a <img alt=b></a></p>")
    assert words["links"] == [{"text": "a", "href": "/docs/x"}]
    assert image["links"] == [{"text": "b", "href": "/docs/x"}]
    assert "inner" not in words


def test_links_without_words_in_no_block_are_links_of_the_page() -> None:
    page = mapped(
        "<p>a</p><ul><li><a href=//y.org title=Y><svg></svg></a><li><a href=z><i></i></a><li><a href=#></a></ul>"
    )
    assert page["links"] == [{"text": "Y", "href": "//y.org"}, {"text": "", "href": "/docs/z"}]


@pytest.mark.parametrize(
    ("html", "breaks"),
    [
        ("<p>a<br>b <br> c", [1, 3]),
        ("<p><br>a<br><br>b<br>", [1, 1]),
        ("<p>a b", []),
        ("<pre>a<br>b</pre>", []),
    ],
)
def test_breaks_are_places_of_spaces(html: str, breaks: list[int]) -> None:
    (block,) = details(html)
    assert block.get("breaks", []) == breaks
    assert all(block["content"][place] == " " for place in breaks)


def test_lists_have_a_kind_a_level_and_a_number() -> None:
    html = "<ul><li>a<ol start=3><li>b<li value=7>c<li><p>d</ol><li>e</ul><ol><li>f</ol><dir><li>g</dir><p>h<li>i"
    assert [(block["content"], *block.get("list", {}).values()) for block in details(html)] == [
        *(("a", "ul", 1, 1), ("b", "ol", 2, 3), ("c", "ol", 2, 7), ("d", "ol", 2, 8), ("e", "ul", 1, 2)),
        *(("f", "ol", 1, 1), ("g", "ul", 1, 1), ("h",), ("i",)),
    ]


@pytest.mark.parametrize(
    ("item", "checked"),
    [
        ("<li><input type=checkbox disabled checked>a", True),
        ("<li><input disabled type=checkbox>a", False),
        ("<li><p><input class=task-list-item-checkbox type=checkbox checked>a</p>", True),
        ("<li class=task-list-item><label><input type=CheckBox><span></span></label>a", False),
        ("<li>a<ul><li><input type=checkbox disabled></ul>", None),
        ("<li><input type=checkbox checked>a", None),
    ],
)
def test_the_items_of_task_lists_are_done_or_not(item: str, checked: bool | None) -> None:
    assert details(f"<ul>{item}</ul>")[0]["list"].get("checked") is checked


def test_inner_blocks_have_their_place_in_the_text() -> None:
    outer, inner, image, last = details("<ul><li>a <ul><li>b</ul> c<img alt=d> e<p>f</ul>")
    assert outer["content"] == "a c e"
    assert outer["inner"] == [{"id": "block-1", "at": 1}, {"id": "block-2", "at": 3}]
    assert "inner" not in inner
    assert (image["content"], last["content"]) == ("d", "f")


def test_a_summary_stands_before_its_details() -> None:
    body, summary, more = details("<details><summary>a</summary>b<p>c</p></details>")
    assert body["inner"] == [{"id": "block-1", "at": 0}]
    assert body["group"] == summary["group"] == more["group"] == "group-0"


def test_groups_join_terms_figures_and_details() -> None:
    html = (
        "<dl><dt>a<dt>b<dd>c<dd><p>d</p><dt>e<dd>f</dl><dl><div><dt>g</dt><dd>h</dd></div></dl>"
        "<figure><img alt=i><figcaption>j</figcaption></figure><p>k"
    )
    assert [(block["content"], block.get("group")) for block in details(html)] == [
        *(("a", "group-0"), ("b", "group-0"), ("c", "group-0"), ("d", "group-0"), ("e", "group-1"), ("f", "group-1")),
        *(("g", "group-2"), ("h", "group-2"), ("i", "group-3"), ("j", "group-3"), ("k", None)),
    ]


def test_quotations_have_a_level() -> None:
    html = "<p>a<blockquote>b<blockquote><p><span>c</span></blockquote></blockquote>"
    assert [(block["content"], block.get("quote")) for block in details(html)] == [("a", None), ("b", 1), ("c", 2)]


def test_table_cells_have_rows_and_columns_with_merged_cells() -> None:
    html = (
        "<table><tr><th rowspan=2>a<th colspan=2>b<tr><td>c<td><p>d<tr><td>e<td colspan=bogus>f<td rowspan=0>g"
        "<tr><td>h<table><tr><td>i</table><td>j<td>k<td>l</table><table><tr><td>m</table>"
    )
    cells = [(block["content"], *block["table"].values()) for block in details(html)]
    assert cells == [
        *(("a", "table-0", 0, 0, True), ("b", "table-0", 0, 1, True), ("c", "table-0", 1, 1), ("d", "table-0", 1, 2)),
        *(("e", "table-0", 2, 0), ("f", "table-0", 2, 1), ("g", "table-0", 2, 2)),
        *(("h", "table-0", 3, 0), ("i", "table-1", 0, 0), ("j", "table-0", 3, 1), ("k", "table-0", 3, 3)),
        *(("l", "table-0", 3, 4), ("m", "table-2", 0, 0)),
    ]


def test_hidden_rows_count_as_rows_of_their_table() -> None:
    html = (
        "<table><tr hidden><td>a<tr><td>b<!-- c --><tr hidden><td>d<tr style='display: none'><td>e<tr><td>f"
        "<tbody><tr><td>g<tr><td><table><tr><td>h</table><tr><td>i</table>"
    )
    cells = [(block["content"], block["table"]["id"], block["table"]["row"]) for block in details(html)]
    assert cells == [
        *(("b", "table-0", 1), ("f", "table-0", 4), ("g", "table-0", 5), ("h", "table-1", 0), ("i", "table-0", 7)),
    ]


def test_where_an_element_in_a_line_of_text_stands() -> None:
    html = "<ul><li><span><b><img alt=a></b></span><x-y><img alt=b></x-y></ul>"
    assert [block["list"]["level"] for block in details(html)] == [1, 1]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p><span>Jan</span><span>2024</span></p>", "Jan 2024"),
        ("<p>Now <button>Buy</button><button>Sell</button>!</p>", "Now Buy Sell !"),
        ("<p><a href=x>Home</a><a href=y>Docs</a></p>", "Home Docs"),
        ("<p><span>os.</span><span>path</span></p>", "os.path"),
        ("<p><span>H</span><span>ello</span></p>", "Hello"),
        ("<p><b>Un</b><i>believable</i></p>", "Unbelievable"),
        ("<p>a<span>bc</span>de<span>fg</span></p>", "abcdefg"),
        ("<p><code><span>int</span><span>main</span></code></p>", "intmain"),
    ],
)
def test_what_a_style_sheet_sets_apart_does_not_fuse(html: str, text: str) -> None:
    assert texts(html) == [("p", text)]


@pytest.mark.parametrize(
    "sign",
    [
        *("<a class=headerlink href='#x' title=Permalink>¶</a>", "<a href=#x>#</a>", "<a href=#x> § </a>"),
        *(
            "<a href=#fnref1>\u21a9\ufe0e</a>",
            "<button class=copybtn>Copy</button>",
            "<button title='Copy it'>x</button>",
        ),
        *("<button data-clipboard-text=a>c</button>", "<clipboard-copy>c</clipboard-copy>"),
        "<a class=hash-link href='page.html#x'>#</a>",
    ],
)
def test_signs_for_the_mouse_are_no_content(sign: str) -> None:
    assert details(f"<h2>a {sign}</h2>") == [{"content": "a"}]


def test_links_that_look_like_signs_stay() -> None:
    assert texts("<p><a href=#c>C#</a> <a href=x>#</a> <button>Go</button>") == [("p", "C# # Go")]


def test_images_have_their_sources() -> None:
    html = "<picture><source srcset='a.webp 1x,  b.webp 2x' type=image/webp><source><img src=a.png></picture>"
    (image,) = details(html)
    assert image["sources"] == [{"src": "a.webp 1x, b.webp 2x", "type": "image/webp"}]


def test_media_have_their_place_among_the_blocks() -> None:
    html = (
        "<meta property=og:image content=/1.png><meta property=og:image content=/2.png>"
        "<main><iframe src=//v.org title=Film></iframe><h1>a</h1><div></div><video poster=p.jpg><source src=m.mp4>"
        "<source src=m.webm type=video/webm></video><p>b</p><audio src=a.ogg aria-label=Song></audio><audio></audio>"
        "<div hidden><iframe src=x></iframe></div><audio><source src=one.ogg></audio></main>"
    )
    assert mapped(html)["media"] == [
        {"type": "iframe", "src": "//v.org", "title": "Film"},
        {
            "type": "video",
            "src": "/docs/m.mp4",
            "poster": "/docs/p.jpg",
            "after": "block-0",
            "sources": [{"src": "/docs/m.mp4"}, {"src": "/docs/m.webm", "type": "video/webm"}],
        },
        {"type": "audio", "src": "/docs/a.ogg", "title": "Song", "after": "block-1"},
        {"type": "audio", "src": "/docs/one.ogg", "after": "block-1"},
        {"type": "og:image", "src": "/2.png"},
    ]


def test_other_forms_and_neighbours_of_a_page() -> None:
    html = (
        "<link rel=alternate type=application/rss+xml href=feed.xml title=News><link rel='alternate stylesheet' href=x>"
        "<link rel=alternate hreflang=de href=/de/><link rel=next title=T href=2.html><link rel=previous href=0.html>"
        "<link rel=next><p>a"
    )
    assert mapped(html)["alternates"] == [
        {"rel": "alternate", "href": "/docs/feed.xml", "type": "application/rss+xml", "title": "News"},
        {"rel": "alternate", "href": "/de/", "hreflang": "de"},
        {"rel": "next", "href": "/docs/2.html"},
        {"rel": "prev", "href": "/docs/0.html"},
    ]


def test_structured_data_is_kept_as_found() -> None:
    scripts = ('{"@type": "A", "n": 1.5}', '[{"b": []}]', "{bad", "[" * 2000)
    html = (
        "".join(f"<script type='application/ld+json'>{script}</script>" for script in scripts)
        + "<div itemscope itemtype=T itemid=i><b itemprop=n> a  b </b>"
        "<i itemprop=o itemscope><u itemprop=p>c</u></i></div>"
    )
    assert mapped(html)["structured_data"] == {
        "json_ld": [{"@type": "A", "n": 1.5}, {"b": []}],
        "microdata": [
            {"type": "T", "id": "i", "properties": {"n": ["a b"], "o": [{"properties": {"p": ["c"]}}]}},
        ],
    }


def test_a_page_with_every_control_and_private_character_keeps_its_text_without_marks() -> None:
    every = "".join(map(chr, (*range(0x86, 0xA0), *range(0xF0000, 0xFFFFE))))
    (block, *_) = details(f"<p>{every} <b>b</b>")
    assert block["content"] == f"{every} b"
    assert "marks" not in block


@pytest.mark.parametrize(
    "page",
    [
        "<div itemscope itemref=a></div><div id=a itemprop=p itemscope itemref=a>",
        "<div itemscope itemref=a></div>"
        + "".join(
            f"<i id={x}{n} itemprop=p itemscope itemref='a{n + 1} b{n + 1}'></i>" for n in range(40) for x in "ab"
        ),
        "<div itemscope><i itemprop=a>" * 40,
    ],
    ids=["a circle", "diamonds", "deep"],
)
def test_items_that_could_be_endless_are_left_out(page: str) -> None:
    assert "structured_data" not in mapped(f"{page}<p>a")


def test_structured_data_too_large_to_be_one_is_left_out() -> None:
    assert "structured_data" not in mapped(f"<script type='application/ld+json'>[{'1,' * 200_000}1]</script><p>a")
    assert "structured_data" not in mapped("<div itemscope itemprop=a>" * 20 + "<p>a")
    assert "structured_data" not in mapped(f"<div itemscope><b itemprop=a>{'a' * 300_000}</b></div>")


def test_local_files_are_named_by_their_source_paths() -> None:
    html = (
        "<link rel=canonical href=https://me.org/docs/page.html><link rel='shortcut icon' href=/f.ico?v=1>"
        "<meta property=og:image content=https://me.org/og.png><meta name=twitter:image content=https://other.org/t.png>"
        "<meta name=og:image content=''><header><img src=../logo%20a.png></header>"
        "<p>a<img src=a.png srcset='a-1.png, a-2.png 2x,a,b.png 3x'><img src=data:,x><img><img src=//cdn.org/x.png>"
        "<video src=v.mp4 poster=p.png></video><iframe src=i.html></iframe>"
        "<a download href=d.pdf>d</a><a href='e.PDF?v=1.html#a'>e</a><map><area href=' f.7z '></map><a download=x>x</a>"
        "<a href=g.html>g</a><a href='h.xhtml#a.pdf'>h</a><a href=i.php?f=a.pdf>i</a><a href=/v1.2/>v</a>"
        "<a href=/v1.2>v</a><a href=#a.pdf>j</a><a href=https://me.org>k</a><a href=mailto:a@me.org>l</a>"
        "<a href=about>m</a><a>n</a>"
        "<input type=image src=in.png><img src='/%2e%2e/x.png'><img src=/dir/>"
    )
    docs = ["a,b.png", "a-1.png", "a-2.png", "a.png", "d.pdf", "e.PDF", "f.7z", "in.png", "p.png", "v.mp4"]
    assert mapped(html)["assets"] == sorted(
        [*(f"dist/docs/{name}" for name in docs), "dist/f.ico", "dist/logo a.png", "dist/og.png"]
    )


def test_what_a_page_lacks_is_left_out() -> None:
    assert mapped("<title>t</title><p>a").keys() == {
        *("path", "engine", "main_selector", "head", "dimensions", "above_fold_blocks", "rest_of_page_blocks"),
        *("selector_map", "extractor", "url"),
    }
    assert details("<p class=a>a") == [{"content": "a"}]


@pytest.mark.parametrize(
    ("path", "folder", "url"),
    [
        ("dist/a.html", "dist", "/a.html"),
        ("dist/index.html", "dist", "/"),
        ("dist/a b/index.htm", "dist", "/a%20b/"),
        ("a.html", ".", "/a.html"),
        ("other/a.html", "dist", "/other/a.html"),
        ("a/index.html", "", "/a/"),
    ],
)
def test_the_address_of_a_page_follows_from_its_place(path: str, folder: str, url: str) -> None:
    assert url_of(path, folder) == url


def test_an_origin_alone_is_a_base() -> None:
    assert base_of("/a", "https://e.org").resolve("x") == "https://e.org/x"


def test_a_page_with_all_signs_has_neither_breaks_nor_inner_places() -> None:
    every = "\x1c\x1d\x1e\x1f\x85\u2028\u2029"
    page = read(f"<ul><li>a{every}<br><b>b</b><p>c</p>d</ul>")
    assert "".join(block.content for block in page.above_fold_blocks).replace(every, "") == "a b dc"
