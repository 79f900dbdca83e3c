"""Where texts are on the first screen: a layout from the style sheets, as a browser's within a few pixels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turbohtml import parse

from nimbus_tasks.html.extract import Rules, extract_page
from nimbus_tasks.html.layout import count_above, lines
from nimbus_tasks.html.layout.flow import Flow
from nimbus_tasks.html.layout.lines import Lines
from nimbus_tasks.html.styles import Styles, Window, computed
from nimbus_tasks.html.styles.values import substitute
from nimbus_tasks.model.page_map import Block, PageMap

#: An x of 10 pixels is 5 pixels wide, a space 2.5, and letters begin 4.25 pixels below the top of a line of 20.
PLAIN = "* { margin: 0; padding: 0 } html { font: 10px/20px serif }"
LETTERS = 4.25
#: Two lines of text in a window of 200 pixels.
LONG = "xxx " * 17 + "xx"


class Tops(Lines):
    """Notes where places begin."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.height)
        self.tops: dict[int, float] = {}

    def note(self, owner: int, y: float, size: int = 1) -> None:
        self.tops.setdefault(owner, y)
        super().note(owner, y, size)


SMALL = Window(200, 400)


def flow(body: str, css: str, window: Window = SMALL, doctype: str = "<!doctype html>") -> dict[str, float]:
    """Return the top of the line or image that each element with an id begins with."""
    document = parse(f"{doctype}<style>{PLAIN}{css}</style>{body}".encode(), scripting=True)
    places = document.select("[id]")
    laid_out = Tops(window)
    styles = Styles(lambda _: None).computed(document, "a.html", window)
    assert document.root
    Flow(styles, {element: number for number, element in enumerate(places)}, laid_out).run(document.root)
    return {
        str(places[number].attr("id")): round(y if places[number].tag in {"img", "video"} else y - LETTERS, 2)
        for number, y in laid_out.tops.items()
        if number >= 0
    }


@pytest.mark.parametrize(
    ("css", "body", "y"),
    [
        # Blocks below each other, and lines of text.
        ("", "<p>a<p id=x>b", 20),
        ("", f"<p>{LONG}<p id=x>b", 40),
        ("p { width: 100px }", f"<p>{LONG}<p id=x>b", 80),
        ("", "a <b>b</b><br>c<p id=x>d", 40),
        ("", "<br><br><p id=x>d", 40),
        ("", "<p>a <b>b <i>c</i></b> <span></span></p> <p id=x>b", 20),
        ("", f"<p>{'x' * 30} <b>{'y' * 20}</b><p id=x>d", 40),
        ("p { white-space: nowrap }", f"<p>{LONG}<p id=x>d", 20),
        ("pre { white-space: pre }", "<pre>a\n\nb\n</pre><p id=x>b", 60),
        ("pre { white-space: pre }", "<pre> <b>a\n\n</b>b</pre><p id=x>b", 60),
        ("div { white-space: pre-wrap }", f"<div>{LONG}</div><p id=x>b", 40),
        ("pre { white-space: pre }", "<pre id=x>" + "a\n" * 300 + "</pre>", 0),
        ("b { display: block }", "<i>a<b>b</b></i><p id=x>c", 40),
        ("b { display: contents }", "<b><p>a</p></b><p id=x>c", 20),
        # Words stay whole, but for Chinese ones; letters have their widths.
        ("p { width: 50px }", "<p>" + "x" * 30 + " x<p id=x>b", 40),
        ("p { width: 50px }", "<p>" + "x" * 30 + "<p id=x>b", 20),
        ("p { width: 50px }", "<p>" + "\u4e2d" * 30 + "<p id=x>b", 120),
        ("p { width: 5px }", "<p>\u4e2d\u4e2d<p id=x>b", 40),
        ("p { width: 100px }", "<p>" + "iiii " * 12 + "<p id=x>b", 40),
        ("p { width: 100px }", "<p>" + "MMMM " * 12 + "<p id=x>b", 120),
        ("p { width: 50px }", "<p>xxxxxx-xxxxxx<p id=x>b", 40),
        ("p { width: 50px }", "<p>x <b>xxxxxxxxx xx</b><p id=x>b", 60),
        ("p { width: 80px } b { white-space: nowrap }", "<p>xxx xxx <b>xxx <i>xxx</i> xxx</b> x<p id=x>b", 40),
        ("p { width: 100px; font-family: Verdana, serif }", "<p>" + "xxx " * 6 + "<p id=x>b", 40),
        ("p { width: 100px; font-family: Consolas }", "<p>" + "xxxx " * 6 + "<p id=x>b", 40),
        ("p { width: 100px; font-family: Unknown }", "<p>" + "xxx " * 5 + "<p id=x>b", 20),
        ("p { width: 98px; font: 700 10px/20px serif }", "<p>" + "aaaaa " * 4 + "<p id=x>b", 40),
        ("p { width: 98px; font: 10px/20px serif }", "<p>" + "aaaaa " * 4 + "<p id=x>b", 20),
        ("p { width: 98px } b { font-weight: 400 }", "<p><b>" + "aaaaa " * 4 + "</b><p id=x>b", 20),
        ("", "<p>\xa0</p><p>a\xa0\n b</p><p id=x>b", 40),
        ("p { white-space: nowrap }", "<p>x <i> </i> x<p id=x>b", 20),
        # An item without content has its sign.
        ("", "<ul><li></li><li></li></ul><p id=x>b", 40),
        ("ul { list-style: none }", "<ul><li></li></ul><p id=x>b", 0),
        ("ul { list-style: square } li { list-style-type: none }", "<ul><li></li></ul><p id=x>b", 0),
        # Hidden ones take no room.
        ("b { display: none }", "<p><b>a</b><p id=x>c", 0),
        ("", "<p hidden>a</p><details><summary>b</summary>c</details><p id=x>d", 20),
        ("", "<script>a</script><p>b<!-- c --></p><!-- d --><p id=x>e", 20),
        # Margins collapse, paddings and borders do not.
        ("p { margin: 10px 0 }", "<p>a<p id=x>b", 40),
        ("p { margin: 10px 0 30px }", "<p>a<p id=x>b", 60),
        ("div { margin: 20px 0 } p { margin: 10px 0 }", "<div><p>a</div><p id=x>b", 60),
        ("div { margin-top: 20px } p { margin: 10px 0 }", "<div><p id=x>b</div>", 20),
        ("div { padding: 20px 0 } p { margin: 10px 0 }", "<div><p>a</div><p id=x>b", 90),
        ("div { border: 5px solid } p { margin: 10px 0 }", "<div><p>a</div><p id=x>b", 60),
        (".a { margin-bottom: -10px }", "<p class=a>a<p id=x>b", 10),
        (".a { margin-bottom: -10px } p + p { margin-top: -5px }", "<p class=a>a<p id=x>b", 10),
        (".a { margin-bottom: 30px } p + p { margin-top: -5px }", "<p class=a>a<p id=x>b", 45),
        ("p { padding: 10% 0 }", "<p>a<p id=x>b", 80),
        # Sizes.
        ("p { height: 70px }", "<p>a<p id=x>b", 70),
        ("p { height: 10px; min-height: 50px }", "<p>a<p id=x>b", 50),
        ("p { height: 50px; padding: 5px; box-sizing: border-box }", "<p>a<p id=x>b", 55),
        ("p { max-height: 10px; overflow: hidden }", "<p>a<p id=x>b", 10),
        ("p { max-height: 10px }", "<p>a<p id=x>b", 10),
        ("p { max-height: 50%; overflow: hidden }", "<p>a<p id=x>b", 20),
        ("div { height: 100px } p { height: 50% }", "<div><p>a<p id=x>b</div>", 50),
        ("p { height: 50% }", "<p>a<p id=x>b", 20),
        ("p.a { height: 50vh }", "<p class=a>a<p id=x>b", 200),
        ("p.a { width: 100px; aspect-ratio: 2 / 1 }", "<p class=a>a<p id=x>b", 50),
        ("p { width: 50px; min-width: 100px }", f"<p>{LONG}<p id=x>b", 80),
        ("p { width: 500px; max-width: 50%; padding: 0 10px; box-sizing: border-box }", f"<p>{LONG}<p id=x>b", 100),
        ("p { width: 120px; padding: 0 10px; box-sizing: border-box; margin: 0 auto }", f"<p>{LONG}<p id=x>b", 80),
        ("p { width: 100px; margin-left: auto }", f"<p>{LONG}<p id=x>b", 80),
        # Out of the flow.
        ("p.a { position: absolute }", "<p class=a>a<p id=x>b", 0),
        ("p.a { position: fixed }", "<p class=a>a<p id=x>b", 0),
        ("p { position: absolute; top: 50px; left: 0; right: 100px }", f"<p id=x>{LONG}", 50),
        ("div { padding: 30px; position: relative } p { position: absolute; top: 5px }", "<div><p id=x>b</div>", 5),
        ("p + p { position: absolute; width: 20px; margin-top: 5px }", "<p>a<p id=x>b", 25),
        ("div { position: absolute; top: 50% } p + p { top: 7px }", "<div><p>a<p id=x>b</div>", 20),
        ("img { position: absolute }", "<div><img><p id=x>b</div>", 0),
        # Replaced elements.
        ("", "<img width=20 height=90><p id=x>b", 90),
        ("", "<img height=90><p id=x>b", 90),
        ("", "<img><p id=x>b", 150),
        ("img { width: 100px }", "<img width=400 height=200><p id=x>b", 50),
        ("img { max-width: 100% }", "<img width=400 height=200><p id=x>b", 100),
        ("img { height: 60px }", "<img width=400 height=200><p id=x>b", 60),
        ("img { width: 100px }", "<img height=80><p id=x>b", 80),
        ("img { width: 100px }", "<img><p id=x>b", 150),
        ("img { max-height: 50px; margin: 5px; border: 1px solid }", "<img width=100 height=100><p id=x>b", 62),
        ("img { height: 50px; max-width: 100% }", "<img width=400><p id=x>b", 50),
        ("img { display: block }", "a<img width=20 height=50>b<p id=x>b", 90),
        ("", "<audio></audio><object width=10 height=10></object><p id=x>b", 20),
        ("", "<p><input> <input> <input type=hidden></p><p id=x>b", 42),
        ("", "<p>a</p><img id=x width=20 height=90>", 20),
        ("b { display: inline-block; width: 150px; height: 50px }", "<b>a</b> <b>a</b><p id=x>b", 100),
        ("b { display: inline-block; padding: 5px }", "<b>a</b> <b>a</b><p id=x>b", 30),
        ("", "<p>a<img>b</p><p id=x>b", 24),
        ("", "<p><a><img></a> <a><img></a></p><p id=x>b", 24),
        ("", "<a href=next.html><img></a><p id=x>b", 24),
        ("", "<a href=large.JPG><img></a><p id=x>b", 150),
        ("", "<a id=here><img></a><p id=x>b", 150),
        ("", "<p><img alt=''></p><p id=x>b", 24),
        ("", "<p><svg></svg></p><p id=x>b", 24),
        # Floats.
        ("div { float: left; width: 100px; height: 100px }", "<div>a</div><p id=x>b", 0),
        ("div { float: left; width: 100px; height: 100px }", f"<div>a</div><p>{'a b ' * 18}</p><p id=x>b", 60),
        ("div { float: right; width: 100px; height: 30px }", f"<div>a</div><p>{'a b ' * 20}</p><p id=x>b", 60),
        ("div { float: left; width: 50% }", "<div>a</div><div id=x>b</div>", 0),
        ("div { float: left; width: 60% }", "<div>a</div><div id=x>b</div>", 20),
        ("div { float: left; width: 60% } p { clear: both }", "<div>a</div><p id=x>b", 20),
        ("div { float: left; height: 60px } p { clear: left; margin-top: 5px }", "<div>a</div><p id=x>b", 60),
        ("div { float: left; height: 60px } p { clear: right }", "<div>a</div><p id=x>b", 0),
        ("div { float: left; clear: left }", "<div>a</div><div id=x>b</div>", 20),
        ("div { float: left; height: 60px } br { clear: both }", "<div>a</div>c<br><p id=x>b", 60),
        ("div { float: left; height: 60px; margin: 5px }", "<section><div>a</div></section><p id=x>b", 0),
        (
            "div { float: left; height: 60px } section { overflow: auto }",
            "<section><div>a</div></section><p id=x>b",
            60,
        ),
        (
            "div { float: left; height: 60px } section::after { clear: both }",
            "<section><div>a</div></section><p id=x>b",
            60,
        ),
        ("div { float: left; width: 60%; height: 60px } p { overflow: hidden }", "<div>a</div><p id=x>b", 0),
        (
            "div { float: left; width: 60%; height: 60px } p { overflow: hidden; width: 50% }",
            "<div>a</div><p id=x>b",
            60,
        ),
        ("div { float: left; width: 100%; height: 60px }", "<div>a</div><p id=x>b", 60),
        ("div { float: left }", "<div>aaa bbb</div><div id=x>b</div>", 0),
        ("img { float: right }", "<img width=100 height=50><p id=x>b", 0),
        ("table { float: left }", "<table><tr><td>b</table><p id=x>b", 0),
        # Rows.
        ("div { display: flex }", "<div><p>a</p><p id=x>b</p></div>", 0),
        ("div { display: flex }", "<div><p>a</p><p>b</p></div><p id=x>c", 20),
        ("div { display: flex; flex-direction: column; gap: 5px }", "<div><p>a<p id=x>b</div>", 25),
        ("div { display: flex; flex-wrap: wrap; gap: 5px } p { width: 120px }", "<div><p>a<p id=x>b</div>", 25),
        ("div { display: flex } p { flex: 1 }", f"<div><p>a</p><p>{LONG}</p></div><p id=x>c", 80),
        ("div { display: flex } p { flex: 1 0 auto }", "<div><p>a</p><p>b</p></div><p id=x>c", 20),
        ("div { display: flex } p { flex-basis: 150px }", f"<div><p>a</p><p>{LONG}</p></div><p id=x>c", 80),
        (
            "div { display: flex } p { flex: 0 0 100px; box-sizing: border-box; padding: 0 10px }",
            f"<div><p>a</p><p>{LONG}</p></div><p id=x>c",
            100,
        ),
        ("div { display: flex; flex-direction: column } .a { order: 1 }", "<div><p class=a>a<p id=x>b</div>", 0),
        ("div { display: flex; flex-direction: column-reverse }", "<div><p id=x>a<p>b</div>", 20),
        ("div { display: flex; flex-direction: column }", "<div><p><b>a</b></p>c<br><i>b</i></div><p id=x>b", 60),
        ("div { display: flex; flex-direction: column } b { float: left }", "<div><p><b>a</b></p><p id=x>b</div>", 20),
        ("div { display: flex }", "<div><img id=x height=50 width=10></div>", 0),
        (
            "div { display: flex; flex-wrap: wrap } p { width: 200px; height: 300px }",
            "<div><p><p><p></div><p id=x>c",
            None,
        ),
        ("div { display: grid; grid-template-columns: 1fr 1fr }", "<div><p>a<p>b<p id=x>c</div>", 20),
        ("div { display: grid; grid-template-columns: repeat(2, 1fr); gap: 5px }", "<div><p>a<p>b<p id=x>c</div>", 25),
        ("div { display: grid; grid-template-columns: 50px }", f"<div><p>{'a b ' * 18}<p id=x>c</div>", 120),
        (
            "div { display: grid; grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)) }",
            "<div><p>a<p>b<p id=x>c</div>",
            20,
        ),
        ("div { display: grid; grid-template-columns: repeat(auto-fit, auto) }", "<div><p>a<p id=x>b</div>", 20),
        ("div { display: grid }", "<div><p>a<p id=x>b</div>", 20),
        ("div { display: grid; grid-template-columns: none }", "<div><p>a<p id=x>b</div>", 20),
        ("div { display: grid; grid-template-columns: [a] auto [b] auto }", f"<div><p>a<p>{LONG}</div><p id=x>c", 40),
        (
            "div { display: grid; grid-template-areas: 'a b' 'c b' } .b { grid-area: b } .c { grid-area: c }",
            "<div><p class=c id=x>c<p class=b>b<p>a</div>",
            20,
        ),
        (
            "div { display: grid; grid-template-columns: 1fr 1fr } p { grid-column: 1 / -1 }",
            "<div><p>a<p id=x>c</div>",
            20,
        ),
        (
            "div { display: grid; grid-template-columns: 1fr 1fr } p { grid-column: span 2 }",
            "<div><p>a<p id=x>c</div>",
            20,
        ),
        ("div { display: grid; grid-template-columns: 1fr 1fr } p { grid-column: 2 }", "<div><p>a<p id=x>c</div>", 20),
        (
            "div { display: grid; grid-template-columns: 9fr 1fr } p { width: 50px }",
            f"<div><p>{'a b ' * 18}</div><p id=x>c",
            120,
        ),
        (
            "div { display: grid; grid-template: 'a b' / 1fr 1fr } .b { grid-area: b }",
            "<div><p>a<p id=x class=b>c</div>",
            0,
        ),
        # Tables.
        ("", "<table><tr><td>a<td id=x>b</table>", 0),
        ("", "<table><caption>c<tbody><tr><td>a<tr><td id=x>b</table>", 43),
        ("", f"<table><tr><td>{LONG}<td>a</table><p id=x>b", 42),
        ("", f"<table width=100%><tr><td width=50%>{LONG}<td>b</table><p id=x>b", 82),
        ("", f"<table width=100><tr><td>{LONG}</table><p id=x>b", 82),
        ("td { width: 50px }", f"<table><tr><td>{LONG}<td>{LONG}</table><p id=x>b", 124),
        ("table { width: 100% }", f"<table><tr><td colspan=2>{LONG}<tr><td>a<td>b</table><p id=x>b", 64),
        ("table { width: 50% }", "<table></table><p id=x>b", 0),
        ("td { border: 0 }", "<table cellspacing=0><tr><td>a<tr><td id=x>b</table>", 20),
        ("table { border-spacing: 0 10px }", "<table><tr><td>a<tr><td id=x>b</table>", 40),
        ("table { border-spacing: 5px; border-collapse: collapse }", "<table><tr><td>a<tr><td id=x>b</table>", 20),
        ("table { border-spacing: what }", "<table><tr><td>a</table><p id=x>b", 20),
        (
            "i { white-space: nowrap }",
            f"<table><tr><td colspan=2>a<tr><td><b>xxxxxxxxxxxx</b> <i>xx xx xx</i><td>{LONG}</table><p id=x>b",
            86,
        ),
        ("b { display: none }", f"<table><tr><td><!-- c --><b>{'x' * 99}</b>x<td>{LONG}</table><p id=x>b", 43),
        ("div { display: table } p { display: table-cell }", "<div><p>a</p><p id=x>b</p></div>", 0),
        ("div { display: table; float: left }", "<div><p>a</p><p id=x>b</p></div>", 20),
        ("div { display: table; position: absolute }", "<div><p>a</p><p id=x>b</p></div>", 20),
        # Widths of what tells none.
        ("div { float: left }", "<div><b>a</b>\n <b>b\nc</b></div><p id=x>c", 0),
        ("b, u { display: inline-block }", f"<b><i hidden></i>{'<i>aaaa</i>' * 20}<u>b</u></b><p id=x>c", 40),
        ("div { float: left }", "<div><p>aaaa<p>b<img width=150 height=1></div><p id=x>c", 0),
        ("div, b { float: left } b b { display: block }", f"{'<div><b>' * 12}a{'</b></div>' * 12}<p id=x>c", 0),
        ("div { display: flex } p.a { position: absolute }", "<div><p class=a>a<p hidden>b<p id=x>c</div>", 0),
        # Nothing goes on without an end.
        ("p { line-height: 0; font-size: 0 }", f"<p>{'a' * 9999}<p id=x>b", 0),
        ("html { display: none }", "<p id=x>b", None),
        ("body { padding-top: 400px }", "<p id=x>b", None),
    ],
)
def test_texts_begin_where_a_browser_shows_them(css: str, body: str, y: float | None) -> None:
    found = flow(body, css).get("x")
    assert found is None if y is None else found == pytest.approx(y, abs=5)


TRANSITIONAL = '<!doctype html public "-//W3C//DTD HTML 4.01 Transitional//EN"'


@pytest.mark.parametrize(
    ("doctype", "line", "cell"),
    [
        ("<!doctype html>", 20, 76),
        ("", 5, 56),
        ("<!doctype nothtml>", 5, 56),
        ('<!doctype html public "-//IETF//DTD HTML 2.0//EN">', 5, 56),
        (f"{TRANSITIONAL}>", 5, 56),
        (f'{TRANSITIONAL} "http://www.w3.org/TR/html4/loose.dtd">', 5, 76),
        ('<!doctype html public "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/xhtml1.dtd">', 5, 76),
        ('<!doctype html public "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">', 20, 76),
        ('<!doctype html public "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/xhtml11.dtd">', 20, 76),
    ],
)
def test_old_doctypes_make_lines_without_texts_low_and_cells_tight(
    doctype: str, line: float, cell: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flow("<img width=5 height=5><p id=x>a", "", doctype=doctype)["x"] == pytest.approx(line, abs=0.1)
    # Margins that no sheet sets.
    monkeypatch.setitem(globals(), "PLAIN", "html, table { font: 10px/20px serif } body { margin: 0 }")
    html = "<table><tr><td><p>a<p>b</table><div id=x>b</div>"
    assert flow(html, "", doctype=doctype)["x"] == pytest.approx(cell, abs=0.1)


def test_a_replaced_element_out_of_the_flow_takes_no_room() -> None:
    assert flow("<p id=x>a<img style='position: absolute' id=y></p>", "") == {"x": 0}


def test_flex_columns_end_without_a_gap() -> None:
    assert flow("<section><b>a</b></section><p id=x>b", "section { display: flex; flex-flow: column; gap: 5px }") == {
        "x": 20
    }


SHOWN = {"#a": 10, "#b": 5, "#d": 5}


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ({"#a": 10, "#b": 5}, 2),
        ({"#a": 10, "#c": 5}, 1),
        # A column in between that goes on below the fold.
        ({"#a": 10, "#c": 3, "#b": 5, "#d": 5}, 4),
        ({"#a": 10, "#c": 300, "#b": 5}, 1),
        ({"#c": 300}, 0),
        ({}, 0),
    ],
)
def test_the_blocks_above_are_a_beginning_of_the_page(sizes: dict[str, int], count: int) -> None:
    blocks = [Block(selector, "p", "x" * size) for selector, size in sizes.items()]
    assert count_above(blocks, {block.id: block.id for block in blocks}, SHOWN) == count


def test_brackets_that_do_not_close_end_with_the_value() -> None:
    assert substitute("var(--a, (1px", {"--a": "2px"}) == "2px"


def test_sheets_of_other_sites_are_not_read() -> None:
    assert flow("<p>a<p id=x>b", "@import 'https://example.com/a.css'; p { margin: 0 }") == {"x": 20}


def test_an_image_counts_as_one_character() -> None:
    blocks = [Block("#a", "img", "x" * 999), Block("#b", "p", "xxxxx")]
    assert count_above(blocks, {"#a": "#a", "#b": "#b"}, {"#b": 5}) == 2


# --- pages ----------------------------------------------------------------------------------------------


def above(html: str, fold: int | str = "desktop", styles: Styles | None = None) -> list[str]:
    page = extract_page("dist/a.html", html.encode(), Rules(fold=fold), styles or Styles(lambda _: None)).page
    assert isinstance(page, PageMap)
    return [block.content for block in page.above_fold_blocks]


BLOCKS = "<!doctype html><style>p { margin: 0; line-height: 100px }</style>" + "".join(f"<p>{n}" for n in range(20))


@pytest.mark.parametrize(
    ("fold", "count"), [("desktop", 8), ("phone", 8), ("flow", 18), (0, 0), (300, 3), (100_000, 20)]
)
def test_the_setting_says_which_window(fold: int | str, count: int) -> None:
    assert len(above(BLOCKS, fold)) == count


def test_the_mark_of_a_page_counts_before_its_layout() -> None:
    assert above("<p>a<p>b<p data-nimbus-fold>c") == ["a", "b"]


def test_content_below_the_first_screen_is_not_above_the_fold() -> None:
    assert above("<!doctype html><style>main { margin-top: 900px }</style><main><p>a</main>") == []


def test_content_that_scripts_show_is_estimated() -> None:
    assert above("<!doctype html><style>body { display: none }</style><p>a<p>b") == ["a", "b"]


def test_media_are_those_of_the_window() -> None:
    css = "@media (max-width: 700px) { div { height: 900px } } @media (min-width: 701px) { i { display: none } }"
    html = f"<!doctype html><style>{css}</style><main><p>a</p><div></div><p>b</p></main>"
    assert above(html, "desktop") == ["a", "b"]
    assert above(html, "phone") == ["a"]


@pytest.mark.parametrize(
    "css", ["", "flex", "grid", "table", "table-row-group", "table-cell", "inline-block", "contents"]
)
def test_deep_pages_end(css: str) -> None:
    assert flow(f"{'<div>' * 600}<p id=x>a", f"div {{ display: {css} }}") in ({"x": 0}, {})


NINES = "9" * 400


@pytest.mark.parametrize(
    "css",
    [
        f"div, p {{ width: calc({NINES} * 1px); height: calc({NINES} * 0px) }}",
        "div { font-size: 1000000em } p { font-size: larger }",
        "div { width: 1000000%; height: 1000000%; padding: 1000000% }",
        f"p {{ line-height: infinity }} div {{ line-height: {NINES} }}",
        f"p {{ width: 1px; aspect-ratio: {NINES} / 1 }} div {{ width: 1px; aspect-ratio: 1 / {NINES} }}",
        "body { display: flex } p { flex: nan; order: nan; flex-shrink: inf }",
        f"body {{ display: grid; grid-template-columns: {NINES}fr .fr 1..fr repeat(999, 1px) }}",
        "div { margin: -1000000px } p { margin: 1000000px }",
        "p { grid-column: span \uff13; order: \uff13; width: \uff13px; flex-grow: \u00b3 }",
    ],
)
def test_absurd_numbers_end_with_a_map(css: str) -> None:
    body = f"{'<div>' * 250}<p>a b c<table><tr><td colspan=999 width=999%>a<td>b</table><img width=9999 height=0>"
    assert len(above(f"<!doctype html><style>{css}</style><p>a{body}", 100_000)) >= 0


def test_lines_beside_floats_are_counted_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    css = "i { float: left; width: 100px; height: 100px }"
    html = f"<i>a</i><p>{'a b ' * 60}</p><p id=x>c"
    assert flow(html, css) == {"x": 140}
    monkeypatch.setattr(lines, "_MOST_LINES", 0)
    assert flow(html, css) == {"x": 100}


def test_many_floats_end() -> None:
    css = "b { float: left; width: 1px; height: 1px }"
    assert flow(f"{'<b>a</b>' * 2000}<p id=x>c", css, Window(2000, 400)) == {"x": 0}


# --- what is remembered ---------------------------------------------------------------------------------

SELECTORS = """
.a { height: 30px } .A { height: 31px } #i { height: 32px } section.a > p { height: 33px }
p:first-child { height: 34px } p + p.b { height: 35px } p[title] { height: 36px } p:not([lang]) { margin-top: 2px }
p:not(.a[lang]) { margin-top: 3px } :is(p + b) c { height: 1px }
.\\31 x { height: 37px } p:nth-child(3) { height: 38px }
[title="a"] ~ p { height: 39px } [data-x] { height: 40px } p:is(.b, .c:last-child) { height: 41px }
"""
ELEMENTS = (
    *(
        "<p>a",
        "<p class=a>a",
        "<p class=A>a",
        "<p id=i>a",
        "<p title=a>a",
        "<p lang=de>a",
        "<p class='a b'>a",
        "<p class=1x>a",
    ),
    *(
        "<p class='c d'>a",
        "<p style='height: 50px'>a",
        "<p data-x class=b>a",
        "<section class=a><p>a</section>",
        "<p>a<c>b</c>",
    ),
)


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from(ELEMENTS), max_size=6), min_size=2, max_size=6), st.booleans())
def test_a_page_is_laid_out_alike_whatever_was_before(pages: list[list[str]], quirks: bool) -> None:
    html = [f"{'' if quirks else '<!doctype html>'}{''.join(page)}<p class=end>end" for page in pages]
    head = f"<style>{SELECTORS}</style>"
    one = Styles(lambda _: None)

    def tops(html: str, styles: Styles) -> dict[int, float]:
        document = parse(html.replace("<p", head + "<p", 1).encode(), scripting=True)
        window = Window(500, 5000)
        found = Tops(window)
        places = dict(zip(document.select("p"), range(999), strict=False))
        assert document.root
        Flow(styles.computed(document, "a.html", window), places, found).run(document.root)
        return found.tops

    assert [tops(page, one) for page in html] == [tops(page, Styles(lambda _: None)) for page in html]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computed, "MOST_STYLES", 5)
    styles = Styles(lambda _: None)
    for number in range(10):
        many = "".join(f"<p class='a x{number}-{each}' style='height: {number}{each}px'>a" for each in range(9))
        above(f"<!doctype html><style>.a {{ height: 3px }}</style>{many}", styles=styles)
    [only] = styles._computed.values()
    assert only._count < 30
    assert len(only._classes) < 30


@pytest.mark.parametrize(
    ("css", "y"),
    [
        ("height: calc(10px + 5 * 4px)", 30),
        ("height: calc((1em + 2rem) / 2 - -5px)", 20),
        ("height: calc(10vw + 10vh - 10px)", 50),
        ("height: min(50px, 10vh)", 40),
        ("height: max(50px, 10vh)", 50),
        ("height: clamp(30px, 10vh, 35px)", 35),
        ("height: calc(2 * (10px", 20),
        ("height: calc(10px 5px)", 20),
        ("height: calc(10px / 0)", 20),
        ("height: calc(10furlongs)", 20),
        ("height: calc(5)", 20),
        ("height: unknown(10px)", 20),
        ("height: calc(,)", 20),
        ("height: calc(calc(10px), 3px)", 20),
        ("height: calc(&)", 20),
        (f"height: {'calc(' * 50}10px{')' * 50}", 20),
        ("height: 10vmin", 20),
        ("height: 10vmax", 40),
        ("height: 1in", 96),
        ("height: 12", 20),
        ("height: 9e99px", None),
        ("--a: 30px; height: var(--a)", 30),
        ("--a: var(--b); --b: 30px; height: calc(var(--a) + 1px)", 31),
        ("height: var(--a, 30px)", 30),
        ("height: var(--a, var(--b, 30px))", 30),
        ("height: var(--a)", 20),
        ("height: var(--a, calc(1px + 30px)", 31),
        ("--a: var(--a); height: var(--a)", 20),
        ("--a: var(--b)var(--b); --b: var(--a)var(--a); height: var(--a)", 20),
        (f"--a: {'x' * 600}; height: var(--a)var(--a)", 20),
        ("margin: 10px 5px", 40),
        ("margin: 1px 2px 3px", 24),
        ("margin: 1px 2px 3px 4px", 24),
        ("margin: 1px 2px 3px 4px 5px", 20),
        ("padding: calc(1px + 1px) 3px", 24),
        ("margin-block: 10px 20px", 50),
        ("padding-block-start: 10px", 30),
        ("border: solid", 26),
        ("border: thin solid red", 22),
        ("border-top: 5px solid", 25),
        ("border: none; border-top-width: 5px", 25),
        ("border: 5px solid; border-style: none", 20),
        ("border: 5px solid; border-style: dotted", 30),
        ("border-width: 1px 2px 3px", 24),
        ("border: 0", 20),
        ("border: wide solid", 26),
        ("font: italic 20px/40px serif", 40),
        ("font: 20px serif", 23),
        ("font: inherit", 20),
        ("font-size: 200%; line-height: 1.5", 30),
        ("font-size: larger; line-height: 2", 24),
        ("font-size: smaller; line-height: 1.2em", 10),
        ("font-size: x-large; line-height: normal", 27.6),
        ("font-size: what; line-height: 150%", 15),
        ("margin-top: 10px !important; margin: 0", 30),
        ("position: absolute; inset: 0", 0),
        ("display: flex; flex-flow: column wrap; grid-gap: 5px", 20),
        ("flex: none; flex-grow: what", 20),
        ("flex: initial", 20),
        ("flex: 2 1 10px", 20),
        ("grid-template: 'a b' 10px / 1fr 1fr", 20),
        ("grid-template: none", 20),
        ("gap: ", 20),
        ("display: list-item; clear: none", 20),
        ("grid-template: / ", 20),
        ("order: what", 20),
        ("aspect-ratio: 0 / 0; width: 10px", 20),
        ("aspect-ratio: auto; width: 10px", 20),
        ("aspect-ratio: 2 / 0; width: 10px", 20),
    ],
)
def test_values_mean_what_they_do_in_a_browser(css: str, y: float | None) -> None:
    shown = flow(f"<section style='{css}'><b>a</b></section><p id=x>b", "").get("x")
    assert shown is None if y is None else shown == pytest.approx(y, abs=0.1)
