"""What a site's style sheets hide is no content: as a desktop browser shows the page before anybody touches it."""

from __future__ import annotations

import pytest

from nimbus_tasks.html.extract import Rules, extract_page
from nimbus_tasks.html.styles import MAX_REMEMBERED, Styles, Window
from nimbus_tasks.html.styles.sheets import MAX_IMPORTS, media_matches, read_sheet, split_selectors, without_states
from nimbus_tasks.model.page_map import PageMap

DESKTOP = Window(1280, 800)


def shown(body: str, css: str = "", head: str = "", files: dict[str, str] | None = None, page: str = "a/b.html") -> str:
    """Return the texts of a page's blocks, with `css` in a `<style>`."""
    html = f"<!doctype html><head><style>{css}</style>{head}</head><body>{body}</body>"
    found = extract_page(f"dist/{page}", html.encode(), Rules(), Styles((files or {}).get, "dist")).page
    assert isinstance(found, PageMap)
    return " ".join(block.content for block in (*found.above_fold_blocks, *found.rest_of_page_blocks))


@pytest.mark.parametrize(
    ("css", "body", "left"),
    [
        (".x { display: none }", "<p>a<p class=x>b", "a"),
        (".x { DISPLAY: NONE }", "<p>a<p class=x>b", "a"),
        ("#x { visibility: hidden }", "<p>a<p id=x>b", "a"),
        ("tr { visibility: collapse }", "<p>a<table><tr><td>b</table>", "a"),
        (".x { display: none }", "<p>a<div class=x><p>b<p>c</div>", "a"),
        (".x { display: none }", "<p>a <span class=x>b</span> c", "a c"),
        ("p.x, div > .y { display: none }", "<p>a<p class=x>b<div><p class=y>c</div>", "a"),
        # The cascade: the more important, the more specific, the later one wins.
        (".x { display: none } p { display: block }", "<p class=x>a<p>b", "b"),
        (".x { display: none } p.x { display: block }", "<p class=x>a", "a"),
        (".x { display: none } .x { display: block }", "<p class=x>a", "a"),
        (".x { display: none !important } #y { display: block }", "<p class=x id=y>a<p>b", "b"),
        (".x { display: block !important } .x { display: none }", "<p class=x>a", "a"),
        (".x { display: none }", "<p class=x style='display: block'>a", "a"),
        (":where(#x) { display: none } p { display: block }", "<p id=x>a", "a"),
        (":not(#y).x { display: none } .x.z { display: block }", "<p class='x z'>a<p>b", "b"),
        # As nobody has touched the page.
        (".x:hover { display: none }", "<p class=x>a", "a"),
        ("p:not(:hover) { display: none }", "<p>a<div>b</div>", "b"),
        (".tab:not(:target) { display: none }", "<p class=tab>a<p>b", "b"),
        ("input:checked ~ p { display: none }", "<p>a</p><input checked><p>b", "a"),
        ("input:checked ~ p { display: none }", "<p>a</p><input><p>b", "a b"),
        (".x::before { display: none }", "<p class=x>a", "a"),
        # Windows and media.
        ("@media print { p { display: none } }", "<p>a", "a"),
        ("@media (max-width: 700px) { p { display: none } }", "<p>a", "a"),
        ("@media screen and (min-width: 60em) { .x { display: none } }", "<p>a<p class=x>b", "a"),
        ("@supports (display: grid) { .x { display: none } }", "<p>a<p class=x>b", "a"),
        ("@layer base { .x { display: none } }", "<p>a<p class=x>b", "a"),
        # Names in odd forms.
        (r".md\:hidden { display: none }", "<p>a<p class='md:hidden'>b", "a"),
        ("[data-open=no] { display: none }", "<p>a<p data-open=no>b", "a"),
        (".été { display: none }", "<p>a<p class='été'>b", "a"),
        # What is no CSS is left out, and does not harm the rest.
        ("}} .y { : } @@ p[ { display: none } .x { display: none }", "<p>a<p class=x>b", "a b"),
        ("p:unknown-thing(2) { display: none } .x { display: none }", "<p>a<p class=x>b", "a"),
        (f".{'x' * 2000} {{ display: none }}", f"<p>a<p class={'x' * 2000}>b", "a b"),
    ],
)
def test_hidden_elements_give_no_text(css: str, body: str, left: str) -> None:
    assert shown(body, css) == left


HIDE = ".x { display: none }"


@pytest.mark.parametrize(
    ("head", "files", "left"),
    [
        ("<link rel=stylesheet href=/main.css>", {"main.css": HIDE}, "a"),
        ("<link rel=stylesheet href=../main.css?v=1#top>", {"main.css": HIDE}, "a"),
        ("<link rel='preload stylesheet' href=main.css>", {"a/main.css": HIDE}, "a"),
        ("<link rel=stylesheet href='my%20style.css'>", {"a/my style.css": HIDE}, "a"),
        ("<base href=/css/><link rel=stylesheet href=main.css>", {"css/main.css": HIDE}, "a"),
        ("<link rel=stylesheet href=/main.css>", {"main.css": "@import 'css/x.css';", "css/x.css": HIDE}, "a"),
        ("<link rel=stylesheet href=/main.css>", {"main.css": "@import url(x.css) screen;", "x.css": HIDE}, "a"),
        ("<link rel=stylesheet href=/main.css>", {"main.css": "@import url(x.css) print;", "x.css": HIDE}, "a b"),
        ("<link rel=stylesheet href=/main.css>", {"main.css": f"@import '';@import 'main.css';{HIDE}"}, "a"),
        ("<style>@import 'x.css';</style>", {"x.css": HIDE}, "a"),
        ("<link rel=stylesheet media=print href=/main.css>", {"main.css": HIDE}, "a b"),
        ("<link rel='alternate stylesheet' href=/main.css>", {"main.css": HIDE}, "a b"),
        ("<link rel=stylesheet disabled href=/main.css>", {"main.css": HIDE}, "a b"),
        ("<link rel=stylesheet href=/main.css>", {"main.css": f"@import 'https://example.com/x.css';{HIDE}"}, "a"),
        ("<link rel=stylesheet href=https://example.com/main.css>", {"main.css": HIDE}, "a b"),
        ("<link rel=stylesheet href=https://[>", {}, "a b"),
        ("<link rel=stylesheet href=/missing.css>", {}, "a b"),
    ],
)
def test_sheets_are_found_as_a_browser_finds_them(head: str, files: dict[str, str], left: str) -> None:
    assert shown("<p>a<p class=x>b", head=head, files=files) == left


def test_imports_without_end_end() -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return f"@import 'x{len(asked)}.css';"

    html = b"<link rel=stylesheet href=a.css><p>a"
    assert isinstance(extract_page("dist/p.html", html, Rules(), Styles(read)).page, PageMap)
    assert len(asked) == MAX_IMPORTS


def test_sheets_are_read_once_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 50
    assert most < MAX_REMEMBERED
    monkeypatch.setattr("nimbus_tasks.html.styles.MAX_REMEMBERED", most)
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return HIDE

    styles = Styles(read)
    for number in range(2):
        extract_page(f"{number}.html", b"<link rel=stylesheet href=a.css><p>a", Rules(), styles)
    assert asked == ["a.css"]
    for number in range(2 * most):
        html = f"<style>.x{number} {{ display: none }}</style><p>a"
        extract_page("p.html", html.encode(), Rules(), styles)
    assert styles.remembered <= most


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("", True),
        ("all", True),
        ("print", False),
        ("not print", True),
        ("only screen and (min-width: 1280px)", True),
        ("(width: 1280px)", True),
        ("(width >= 80em) and (height < 50rem)", False),
        ("(width > 100px)", True),
        ("print, (orientation: landscape)", True),
        ("(orientation: portrait)", False),
        ("(hover: hover) and (pointer: fine)", True),
        ("(prefers-color-scheme: dark)", False),
        ("(prefers-color-scheme: light)", True),
        ("(min-width: 1.2.3px)", True),
        ("(unheard-of: 3)", False),
    ],
)
def test_media_queries_hold_on_a_common_screen(query: str, holds: bool) -> None:
    assert media_matches(query, DESKTOP) is holds


@pytest.mark.parametrize(
    ("prelude", "selectors"),
    [
        ("a, b", ["a", "b"]),
        (":is(a, b) c, [x=','] d", [":is(a, b) c", "[x=','] d"]),
        (r"a\,b, c", [r"a\,b", "c"]),
    ],
)
def test_a_list_of_selectors_is_split_at_its_commas(prelude: str, selectors: list[str]) -> None:
    assert list(split_selectors(prelude)) == selectors


@pytest.mark.parametrize(
    ("selector", "untouched"),
    [
        ("a:link", "a[href]"),
        ("input:disabled", "input[disabled]"),
        ("p:not(:hover, :focus)", "p"),
        (":not(:hover)", "*"),
        ("p:not(.x, :hover)", "p:not(.x)"),
        (f"p:not({':hover' * 100}:is(a))", None),
        ("p:not(.x:target)", "p"),
        ("a:visited", None),
        ("p::after", None),
    ],
)
def test_selectors_hold_as_nobody_has_touched_the_page(selector: str, untouched: str | None) -> None:
    assert without_states(selector) == untouched


@pytest.mark.parametrize("opened", ["@media screen {", "@supports (a: b) {", "b:is(", "b { width: calc("])
def test_brackets_in_brackets_do_not_hide_the_other_rules(opened: str) -> None:
    sheet = read_sheet(f"a {{ display: none }} {opened * 3000}", Window(1280, 800))
    assert [rule.selector for rule in sheet.rules if rule.hides] == ["a"]


def test_a_sheet_lists_only_rules_that_decide_what_is_shown() -> None:
    sheet = read_sheet(
        "p { color: red } a { display: inline } b { visibility: visible } @media { i { color: red } }", DESKTOP
    )
    assert [(rule.selector, rule.hides) for rule in sheet.rules] == [("a", False), ("b", False)]


COLUMNS = "<h1>a</h1><div class=row><div class=side>b</div><div id=content>c c c</div><p class=side>d</p></div>"


@pytest.mark.parametrize(
    ("css", "left"),
    [
        ("", "a b c c c d"),
        # The headline is above both columns, and the content is one of them.
        (".side, #content { float: left }", "a c c c"),
        (".row { display: flex }", "a c c c"),
        # These stand above and below the content.
        (".row { display: flex; flex-wrap: wrap }", "a b c c c d"),
        (".row { display: flex; flex-direction: column }", "a b c c c d"),
        (".row { display: flex } .side { position: absolute }", "a b c c c d"),
        (".side { float: left }", "a b c c c d"),
        ("#content { float: left }", "a b c c c d"),
    ],
)
def test_columns_beside_content_below_its_headline_are_left_out(css: str, left: str) -> None:
    assert shown(COLUMNS, css) == left


#: A tab that is chosen and one that is not, as generators write them.
TABS = [
    # Material for MkDocs
    "<input type=radio checked><input type=radio><div class=tabbed-content><div class=tabbed-block>a</div>"
    "<div class='tabbed-block off'>b</div></div>",
    # sphinx-design, sphinx-inline-tabs, Hugo Book, or by hand
    "<div><input type=radio checked><label></label><div class=sd-tab-content>a</div><input type=radio><label></label>"
    "<div class='sd-tab-content off'>b</div></div>",
    "<div><input type=radio><label></label><div class=x>a</div><input type=radio><label></label>"
    "<div class=off>b</div></div>",
    # sphinx-tabs, Docusaurus, Starlight; jQuery UI; Bootstrap; VitePress
    "<div role=tabpanel>a</div><div role=tabpanel hidden>b</div>",
    "<div role=tabpanel>a</div><div role=tabpanel style='display: none' hidden>b</div>",
    "<div class='tab-pane active'>a</div><div class='tab-pane off'>b</div>",
    "<div class=vp-code-group><div class=blocks><div class=active>a</div><div class=off>b</div></div></div>",
]


@pytest.mark.parametrize("body", TABS)
def test_panels_of_tabs_are_content_like_folded_details(body: str) -> None:
    assert shown(body, ".off { display: none }") == "a b"
    assert shown(f"c<div hidden>{body}</div>", ".off { display: none }") == "c"


@pytest.mark.parametrize(
    "body",
    [
        "<p>a</p><div role=tabpanel data-nimbus-ignore hidden>b</div>",
        "<p>a</p><div role=tabpanel class=x>b<p hidden>c</p></div>",
        "<p>a</p><div role=tabpanel hidden><p class=off>b</div>",
        "<p>a</p><input type=radio><label hidden>b</label>",
        "<p>a</p><form><input type=radio><div class=off>b</div></form>",
        "<p>a</p><input type=checkbox><div class=off>b</div>",
    ],
)
def test_other_hidden_parts_in_and_beside_tabs_are_not(body: str) -> None:
    assert shown(body, ".off { display: none }").removesuffix(" b" if "class=x" in body else "") == "a"
