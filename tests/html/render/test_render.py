"""A record alone gives a readable page: each word of the page, once, in the order in which it is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from turbohtml import parse

from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.render import to_html, to_markdown

SITES = Path(__file__).parents[3] / ".cache" / "sites"
_markdown = MarkdownIt("commonmark", {"maxNesting": 200}).enable("table")  # deeper than what is drawn


def record(html: str | bytes) -> dict[str, Any] | None:
    page = extract("dist/page.html", html if isinstance(html, bytes) else html.encode(), Rules(folder="dist"))
    return None if isinstance(page, Skipped) else msgspec.json.decode(msgspec.json.encode(page))


def rendered(html: str) -> tuple[str, str]:
    """Return a page as HTML, without the lines around its content, and as Markdown."""
    found = record(f"<main>{html}</main>")
    assert found is not None
    page = to_html(found)
    return page[page.index("<main>\n") + 7 : page.index("</main>")].strip(), to_markdown(found).strip()


_BREAK = re.compile(r"<br ?/?>")


def text_of(html: str) -> str:
    """Return what a reader of a page sees; a break is white space."""
    body = parse(_BREAK.sub("\n", html).encode(), scripting=True).find("body")
    return "" if body is None else body.text


def text_of_markdown(text: str) -> str:
    return text_of(_markdown.render(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)))


#: Of a page: its HTML, and what is written of it as HTML and as Markdown.
CASES = [
    ("<h2>a</h2><p>b <em>c</em>", "<h2>a</h2>\n<p>b <em>c</em></p>", "## a\n\nb *c*"),
    ("<p>a_b *c* [d] &lt;e>", "<p>a_b *c* [d] &lt;e&gt;</p>", r"a\_b \*c\* \[d\] \<e\>"),
    ("<p># a<p>1. b<p>- c", "<p># a</p>\n<p>1. b</p>\n<p>- c</p>", "\\# a\n\n1\\. b\n\n\\- c"),
    ("<p>a<br>b", "<p>a<br>\nb</p>", "a\\\nb"),
    ("<h1>a<br>b", "<h1>a<br>\nb</h1>", "# a<br>b"),
    ("<p><a href=x><b>a</b> b</a>", '<p><a href="/x"><strong>a</strong> b</a></p>', "[**a** b](/x)"),
    ("<p><a href='javascript:x()' rel=me>a</a>", '<p><a href="" rel="me">a</a></p>', "[a]()"),
    ("<p><a href='a(b)'>a</a>", '<p><a href="/a(b)">a</a></p>', "[a](</a(b)>)"),
    ("<p>a <code>b`c</code> <kbd>d</kbd>", "<p>a <code>b`c</code> <kbd>d</kbd></p>", "a ``b`c`` <kbd>d</kbd>"),
    ("<p><code>a <b>b</b></code>", "<p><code>a <strong>b</strong></code></p>", "<code>a **b**</code>"),
    (
        "<pre class=language-py>a\n```\n</pre>",
        '<pre><code class="language-py">a\n```\n</code></pre>',
        "````py\na\n```\n````",
    ),
    ("<pre>\n\na</pre>", "<pre>\n\na</pre>", "```\n\na\n```"),
    ("<ul><li>a<li>b</ul>", "<ul><li>a</li>\n<li>b</li>\n</ul>", "- a\n- b"),
    ("<ol start=3><li>a<p>b</ol>", '<ol start="3"><li>a<p>b</p>\n</li>\n</ol>', "3. a\n\n   b"),
    (
        "<ul><li>a</ul><p>x<ul><li>b</ul>",
        "<ul><li>a</li>\n</ul>\n<p>x</p>\n<ul><li>b</li>\n</ul>",
        "- a\n\nx\n\n- b",
    ),
    ("<ul><li>a</ul><ul><li>b</ul>", "<ul><li>a</li>\n</ul>\n<ul><li>b</li>\n</ul>", "- a\n\n- b"),
    (
        "<ul><li>a<ol><li>b</ol>c</ul>",
        "<ul><li>a<ol><li>b</li>\n</ol>\n c</li>\n</ul>",
        "- a\n\n  1. b\n\n  c",
    ),
    ("<ul><li><ul><li>a</ul></ul>", "<ul><li><ul><li>a</li>\n</ul>\n</li>\n</ul>", "- - a"),
    ("<blockquote>a<p>b</blockquote>", "<blockquote><p>a</p>\n<p>b</p>\n</blockquote>", "> a\n>\n> b"),
    (
        "<dl><dt>a<dd>b<dd><p>c<dt>d<dd><ul><li>e</ul></dl>",
        "<dl><dt>a</dt>\n<dd>b<p>c</p>\n</dd>\n<dt>d</dt>\n<dd><ul><li>e</li>\n</ul>\n</dd>\n</dl>",
        "a\n\n:   b\n\n    c\n\nd\n\n:   - e",
    ),
    (
        "<details><summary>a</summary>b</details>",
        "<details><summary>a</summary>\nb</details>",
        "a\n\nb",
    ),
    (
        "<figure><a href=l><img src=s alt=a></a><figcaption>b</figure>",
        '<figure><a href="/l"><img src="/s" alt="a"></a><figcaption>b</figcaption>\n</figure>',
        "[![a](/s)](/l)\n\nb",
    ),
    (
        "<table><tr><th>a<th>b|c<tr><td><td>d<p>e</table>",
        "<table><tr><th>a</th>\n<th>b|c</th>\n</tr>\n<tr><td></td><td>d<p>e</p>\n</td>\n</tr>\n</table>",
        "| a | b\\|c |\n| --- | --- |\n|  | d<br>e |",
    ),
    (
        "<table><tr><td colspan=2>a<td>b<tr><td>c</table>",
        '<table><tr><td colspan="2">a</td>\n<td>b</td>\n</tr>\n<tr><td>c</td>\n</tr>\n</table>',
        "|  |  |  |\n| --- | --- | --- |\n| a |  | b |\n| c |  |  |",
    ),
    (
        "<table><caption>c</caption><tr><th rowspan=2>a<th colspan=2>b<tr><td>d<td>e<tr><td>f<td><td>g</table>",
        '<table><caption>c</caption>\n<tr><th rowspan="2">a</th>\n<th colspan="2">b</th>\n</tr>\n'
        "<tr><td>d</td>\n<td>e</td>\n</tr>\n<tr><td>f</td>\n<td></td><td>g</td>\n</tr>\n</table>",
        "c\n\n| a | b |  |\n| --- | --- | --- |\n|  | d | e |\n| f |  | g |",
    ),
    (
        "<table><tr><td rowspan=0>a<td rowspan=2>b<td>c<tr><td><tr><td>d<td>e</table>",
        '<table><tr><td rowspan="0">a</td>\n<td rowspan="2">b</td>\n<td>c</td>\n</tr>\n<tr></tr>\n'
        "<tr><td>d</td>\n<td>e</td>\n</tr>\n</table>",
        "|  |  |  |\n| --- | --- | --- |\n| a | b | c |\n|  | d | e |",
    ),
    ("<table><caption>a</caption></table><p>b", "<p>a</p>\n<p>b</p>", "a\n\nb"),
    (
        "<ul class=contains-task-list><li><input type=checkbox disabled checked> a<li><p><input type=checkbox disabled>"
        "b<ul><li>c</ul></ul>",
        '<ul><li><input type="checkbox" disabled checked> a</li>\n<li><input type="checkbox" disabled> <p>b</p>\n'
        "<ul><li>c</li>\n</ul>\n</li>\n</ul>",
        "- [x] a\n\n- [ ] b\n\n  - c",
    ),
    (
        "<p>a <img src=s>\n<img src=https://e.org/t srcset='../b.png 1x, /c.png 2x'> b",
        '<p>a<img src="/s" alt=""> <img src="https://e.org/t" srcset="/b.png 1x, /c.png 2x" alt=""> b</p>',
        "a ![](/s) ![](https://e.org/t) b",
    ),
    (
        "<ul><li>a<table><tr><td>b</table></ul>",
        "<ul><li>a<table><tr><td>b</td>\n</tr>\n</table>\n</li>\n</ul>",
        "- a\n\n  |  |\n  | --- |\n  | b |",
    ),
    (
        "<table><tr><td><pre>a\nb<img src=s alt=c></pre></table>",
        '<table><tr><td><pre>\na\nb<img src="/s" alt="c">\n</pre>\n</td>\n</tr>\n</table>',
        "|  |\n| --- |\n| `a`<br>`b`<br>![c](/s) |",
    ),
    (
        "<pre>a<img src=s alt=b></pre>",
        '<pre>\na<img src="/s" alt="b">\n</pre>',
        "```\na\n```\n\n![b](/s)",
    ),
    (
        "<p>a <picture><source srcset=w type=t><img src=s width=3></picture> b",
        '<p>a<picture><source srcset="/w" type="t"><img src="/s" width="3" alt=""></picture> b</p>',
        "a ![](/s) b",
    ),
    (
        "<meta property=og:image content=1><meta property=og:image content=2>"
        "<h1>a</h1><video src=v title=t></video><iframe src=i></iframe>",
        '<h1>a</h1>\n<video src="/v" title="t" controls></video>\n<iframe src="/i"></iframe>',
        '# a\n\n<video src="/v" title="t" controls></video>\n<iframe src="/i"></iframe>',
    ),
]


@pytest.mark.parametrize(("html", "page", "markdown"), CASES)
def test_what_is_written(html: str, page: str, markdown: str) -> None:
    assert rendered(html) == (page, markdown)


@pytest.mark.parametrize(
    ("path", "canonical", "address"),
    [
        ("dist/docs/page.html", "", "/docs/s"),
        ("dist/docs/index.html", "", "/docs/s"),
        # Canonical addresses have, or have not, the slash of a folder.
        ("dist/docs/index.html", "/docs", "/docs/s"),
        ("dist/docs/page.html", "/docs/page/", "/docs/s"),
        ("dist/index.html", "/", "/s"),
    ],
)
def test_images_have_addresses_from_the_root_like_links(path: str, canonical: str, address: str) -> None:
    html = f"<link rel=canonical href='{canonical}'><p>a <a href=s>b</a> <img src=s> c"
    found = msgspec.json.decode(msgspec.json.encode(extract(path, html.encode(), Rules(folder="dist"))))
    assert to_markdown(found).endswith(f"a [b]({address}) ![]({address}) c\n")


def test_the_head_is_written_too() -> None:
    found = record(
        "<html lang=en><title>A &amp; B</title><meta name=description content=c><link rel=canonical href=/x><p>a"
    )
    assert found is not None
    assert to_html(found).startswith(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>A &amp; B</title>\n'
        '<meta name="description" content="c">\n<link rel="canonical" href="/x">\n</head>\n'
    )
    assert to_markdown(found) == '---\ntitle: "A & B"\ndescription: "c"\ncanonical: "/x"\nlang: "en"\n---\n\na\n'


BLOCKS = ["div", "section", "blockquote", "ul", "ol", "li", "p", "h2", "details", "summary", "dl", "dt", "dd", "figure"]
INLINE = ["span", "b", "em", "code", "a href=x", "a href=#y", "sub", "button"]


WORD = re.compile(r"w\d+")


@st.composite
def _pages(draw: st.DrawFn) -> str:
    count = 0

    def node(depth: int, inline: bool) -> str:
        nonlocal count
        kind = draw(st.integers(0, 9))
        if kind < 4 or depth == 0:
            count += 1
            return f" w{count} " if kind % 2 else f"w{count}"
        if kind == 4:
            return draw(st.sampled_from(["<br>", "<img src=x>", "<hr>", "<div hidden>no</div>"]))
        if kind == 5 and not inline:
            cells = "".join(f"<td>{node(depth - 1, inline=False)}" for _ in range(draw(st.integers(1, 3))))
            return f"<table><tr>{cells}<tr><th>{node(depth - 1, inline=False)}</table>"
        tag = draw(st.sampled_from(INLINE if inline else BLOCKS))
        children = "".join(node(depth - 1, inline or kind > 7) for _ in range(draw(st.integers(0, 4))))
        return f"<{tag}>{children}</{tag.split()[0]}>"

    return f"<main>{''.join(node(4, inline=False) for _ in range(draw(st.integers(1, 6))))}</main>"


@example("<main><table><tr><td>w1<tr><th><ol>w2<li>w3</li></ol></table></main>")
@given(_pages())
def test_each_word_is_written_once_in_its_order(html: str) -> None:
    found = record(html)
    assert found is not None
    expected = WORD.findall(html)
    page = to_html(found)
    assert WORD.findall(text_of(page)) == expected
    assert WORD.findall(text_of_markdown(to_markdown(found))) == expected
    again = record(page)
    assert sorted(WORD.findall(" ".join(contents(again)))) == sorted(expected)


def contents(found: dict[str, Any] | None) -> list[str]:
    assert found is not None
    return [block["content"] for block in found["above_fold_blocks"] + found["rest_of_page_blocks"]]


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.soak), 151])
def test_real_pages_keep_their_words(every: int) -> None:
    paths = [path for path in sorted(SITES.rglob("*.html")) if path.is_file() and not path.is_symlink()]
    if not paths:
        pytest.skip("no real sites: run `make sites`")
    for path in paths[::every]:
        found = record(path.read_bytes())
        if found is None:
            continue
        blocks = found["above_fold_blocks"] + found["rest_of_page_blocks"]
        expected = sorted("".join(block["content"] for block in blocks if block["type"] != "img"))
        assert sorted_without_space(text_of(to_html(found))) == [each for each in expected if not each.isspace()], path


def sorted_without_space(text: str) -> list[str]:
    return sorted("".join(text.split()))


def test_fields_of_another_shape_are_left_out() -> None:
    found: dict[str, Any] = {
        "engine": "gulp", "main_selector": "main", "head": {"title": "t"}, "dimensions": {}, "selector_map": {},
        "media": "none", "url": 7,
        "above_fold_blocks": [
            {"id": "a", "type": "p", "content": "one two", "links": "x", "marks": [{"type": "a", "start": 0, "end": 99},
             {"type": "em", "start": -1, "end": 2}, {"type": "em", "start": 2, "end": 5}],
             "inner": [{"id": "a", "at": 1}]},
            {"id": "b", "type": "li", "content": "three", "quote": 10**6,
             "list": {"kind": "ul", "level": 10**6, "item": 1}},
            {"id": "c", "type": "td", "content": "four", "table": {"id": "t", "row": -1, "column": 10**9}},
            {"id": "d", "type": "p", "content": "five", "group": "g", "table": []},
        ],
        "rest_of_page_blocks": [],
    }  # fmt: skip
    for text in (text_of(to_html(found)), text_of_markdown(to_markdown(found))):
        assert "".join(text.split()) == "onetwothreefourfive"


@pytest.mark.parametrize("broken", [{}, {"head": 1}, {"above_fold_blocks": [1]}])
def test_what_is_no_page_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expected|missing"):
        to_html(broken)
