"""What surrounds the content is left out: by its markup, by its name, and where many pages of a site have it."""

from __future__ import annotations

import pytest
from extract_kit import PATH, read, texts

from nimbus_tasks.html.chrome import ENOUGH_PAGES, MIN_PAGES, Common, learn, sample_of
from nimbus_tasks.html.extract import Rules, Skipped, extract
from nimbus_tasks.html.extract.explain import explain
from nimbus_tasks.html.extract.surroundings import digest_of
from nimbus_tasks.html.styles import Styles
from nimbus_tasks.model.page_map import PageMap

LONG = "word " * 50
MENU = "<a href=a>one</a> <a href=b>two</a>"


def contents(html: str, **rules: object) -> list[str]:
    return [content for _, content in texts(f"<!doctype html><body>{html}", **rules)]


@pytest.mark.parametrize(
    ("html", "left"),
    [
        # By name, where it is mostly links and a small part of the page.
        (f"<div class=navbar>{MENU}</div><p>{LONG}", [LONG.strip()]),
        (f"<table id=navigation><tr><td>{MENU}</table><p>{LONG}", [LONG.strip()]),
        (f"<div class=navbar>{LONG}</div><p>a", [LONG.strip(), "a"]),
        (f"<div class=navbar>some words</div><p>{LONG}", ["some words", LONG.strip()]),
        (f"<div class=footer></div><p>{LONG}", [LONG.strip()]),
        (f"<main><p>{LONG}<nav>{MENU}</nav></main>", [LONG.strip()]),
        # In content that is marked, these are part of it.
        (f"<main><header>a</header><p>{LONG}<aside>b</aside></main>", ["a", LONG.strip(), "b"]),
        (f"<aside>a</aside><p>{LONG}<section><footer>b</footer></section>", [LONG.strip(), "b"]),
        # The header with the headline is content, the name of the site is not.
        (f"<header><h1>Title</h1><nav>{MENU}</nav></header><p>{LONG}", ["Title", LONG.strip()]),
        (f"<header><h1>Site</h1></header><h1>Title</h1><p>{LONG}", ["Title", LONG.strip()]),
        (f"<header><h1><a href=/>Site</a></h1></header><p>{LONG}", [LONG.strip()]),
        (f"<header><h1><a href='#top'>Title</a></h1></header><p>{LONG}", ["Title", LONG.strip()]),
        (f"<header><h1><img alt=logo></h1></header><p>{LONG}", [LONG.strip()]),
        (f"<nav><h1>Site</h1></nav><p>{LONG}", [LONG.strip()]),
        # A headline above the main content belongs to it, what is around both does not.
        (f"<p>a<header><h1>Title</h1></header><p>b<main>{LONG}</main><p>c", ["Title", "b", LONG.strip()]),
        (f"<main>{LONG}</main><div><h1>Title</h1></div>", [LONG.strip()]),
        # A list of contents has the class name of content.
        (f"<div class=contents><a href=a>{LONG}</a></div><p>text", [LONG.strip(), "text"]),
        # If all of it would go, nothing does.
        (f"<nav>{LONG}</nav>", [LONG.strip()]),
    ],
)
def test_what_surrounds_the_content_is_left_out(html: str, left: list[str]) -> None:
    assert contents(html) == left


def test_a_short_page_with_much_navigation_has_its_main_content() -> None:
    menu = f"<nav>{LONG}</nav><div hidden>{LONG}</div>"
    assert read(f"<body>{menu}<main><div hidden>{LONG}</div>few words</main>").main_selector == "main"
    assert read(f"<body>{menu}<div>{LONG}</div><main>few words</main>").main_selector == "body"
    assert read(f"<body><div>{LONG}</div><main><nav>{LONG}</nav>few</main>").main_selector == "body"


def test_hidden_parts_of_navigation_count_once() -> None:
    menu = f"<nav><div hidden>{LONG}</div>{LONG}</nav><div><div hidden>{LONG}</div></div>"
    styles = Styles({"a.css": "body > div { display: none }"}.get, "site")
    html = f"<link rel=stylesheet href=a.css>{menu}<main><h1>few</h1></main>"
    for page in (extract(PATH, html.encode(), Rules()), extract(PATH, html.encode(), Rules(), styles)):
        assert isinstance(page, PageMap)
        assert page.main_selector == "main"


def test_what_scripts_show_is_content_where_there_is_nothing_else() -> None:
    styles = Styles({"a.css": ".app { visibility: hidden }"}.get, "site")
    html = b"<link rel=stylesheet href=a.css><div class=app><p>a</div>"
    page = extract(PATH, html, Rules(), styles)
    assert isinstance(page, PageMap)
    assert [block.content for block in page.above_fold_blocks] == ["a"]


# --- generators ---------------------------------------------------------------------------------------


def generated(generator: str, body: str) -> str:
    return f"<!doctype html><head><meta name=Generator content='{generator}'></head><body>{body}"


def test_a_generator_says_where_its_content_is() -> None:
    html = generated(
        "mkdocs-1.6.1, mkdocs-material-9.6.1",
        f"<main><div>{MENU}</div><article class='md-content__inner md-typeset'><a class=md-content__button>edit</a>"
        f"<h1>Title<a class=headerlink>¶</a></h1><p>{LONG}</article></main>",
    )
    assert read(html).main_selector == "article.md-content__inner"
    assert texts(html) == [("h1", "Title"), ("p", LONG.strip())]
    # One without it, as an entry page, is read as any other.
    assert read(generated("mkdocs-material-9", f"<main>{LONG}</main>")).main_selector == "main"
    assert (
        read(generated("mkdocs-material-9", f"{LONG}<article class=md-content__inner> </article>")).main_selector
        == "body"
    )


def test_a_generator_says_what_is_no_content() -> None:
    header = "<div class=navheader><table><tr><th>Title</th></tr></table><a href=b.html><img alt=Next></a></div>"
    html = generated("DocBook XSL Stylesheets V1.79", f"{header}<h1>Title</h1><p>{LONG}")
    assert texts(html) == [("h1", "Title"), ("p", LONG.strip())]


@pytest.mark.parametrize(
    ("path", "head", "is_skipped"),
    [
        ("dist/genindex.html", "<script id=documentation_options></script>", True),
        ("dist/a/genindex-A.html", "<script src=_static/doctools.js></script>", True),
        ("dist/genindex.html", "", False),
        ("dist/404.html", "<meta name=generator content='Hugo 0.140'>", True),
        ("dist/tags/a/index.html", "<meta name=generator content='Hugo 0.140'>", True),
        ("dist/my-tags/index.html", "<meta name=generator content='Hugo 0.140'>", False),
        ("dist/404.html", "<meta name=generator content=unheard-of>", False),
    ],
)
def test_pages_that_a_generator_makes_by_itself_are_skipped(path: str, head: str, is_skipped: bool) -> None:
    page = extract(path, f"<!doctype html><head>{head}</head><p>a".encode(), Rules())
    assert isinstance(page, Skipped) is is_skipped
    assert not is_skipped or "makes it" in page.reason  # type: ignore[union-attr]


def test_a_page_of_frames_has_no_generator() -> None:
    assert isinstance(extract("a", b"<frameset><frame>", Rules()), Skipped)


# --- what many pages have -----------------------------------------------------------------------------


def rules_of(learnt: Common) -> Rules:
    return Rules(chrome=learnt.selectors, chrome_texts=frozenset(learnt.texts))


def site(pages: int, template: str) -> list[tuple[str, bytes]]:
    """Return pages; `{n}` in the template is the number of the page, `{words}` words that no other page has."""
    return [
        (f"{n}.html", template.format(n=n, words=" ".join(f"w{n}x{i}" for i in range(30))).encode())
        for n in range(pages)
    ]


TEMPLATE = (
    "<!doctype html><body class=p{n}><div class='top active{n}'>Our site</div><div id=side><div><a href=a>one</a></div>"
    "<div class='md:x'><a href={n}>link to {n}</a></div></div>"
    "<div class=text><h1>Title {n}</h1><div class=note>Note</div><p>{words}</div><div role=note>Rights reserved</div>"
    "<p hidden>The end"
)


def test_what_pages_have_in_common_is_learnt_by_structure() -> None:
    learnt = learn(site(20, TEMPLATE), Rules())
    assert learnt.selectors == (
        "body > div#side",
        "body > div.text > div.note",
        "body > div.top",
        'body > div[role="note"]',
    )
    assert set(learnt.texts) == {digest_of(text) for text in ("one", "Note", "Our site", "Rights reserved")}
    # A page more changes nothing.
    assert learn(site(21, TEMPLATE), Rules()) == learnt


def test_what_is_learnt_is_dropped_at_the_ends_alone() -> None:
    learnt = learn(site(20, TEMPLATE), Rules())
    path, html = site(30, TEMPLATE)[29]
    page = extract(path, html, rules_of(learnt))
    assert isinstance(page, PageMap)
    assert [block.content[:8] for block in page.above_fold_blocks] == ["Title 29", "Note", "w29x0 w2"]


def test_a_title_that_all_pages_have_is_the_name_of_the_site() -> None:
    template = "<body><header><h1>Site</h1></header><p>{words}"
    learnt = learn(site(8, template), Rules())
    assert learnt.selectors == ("body > header:not([class])",)
    assert contents("<header><h1>Site</h1></header><p>a", chrome=learnt.selectors) == ["Site", "a"]


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<div class=x>a</div><p>b</p><div class=x>c</div><p>d</p><div class=x>e</div>", ["b", "c", "d"]),
        ("<section><div class=x>a</div><!-- --> <p>b</p></section>", ["b"]),
        ("text<div class=x>a</div>", ["text"]),
        ("<div class=x>a</div><img alt=b>", ["b"]),
        ("<div class=x>a</div><div hidden>b</div><p>c", ["c"]),
        ("<div class=x>a</div>", ["a"]),
        ("<div class=x><h1>a</h1></div><p>b", ["a", "b"]),
        ("<p>b", ["b"]),
    ],
)
def test_text_before_and_after_the_content_is_left_out(html: str, left: list[str]) -> None:
    assert contents(html, chrome=(".x",), chrome_texts=frozenset(map(digest_of, "ace"))) == left


@pytest.mark.parametrize(
    ("html", "left"),
    [
        # The same words, at least most of them.
        ("<p>b</p><div class=x><p>We sell</p> <p>nine lives</p> 2026</div>", ["b"]),
        ("<p>b</p><div class=x><p>We sell</p> words of its own</div>", ["b", "words of its own", "We sell"]),
        ("<p>b</p><div class=x><p>words of its own</p></div>", ["b", "words of its own"]),
        ("<p>b</p><div class=x>We <b>sell</b></div>", ["b"]),
        ("<p>b</p><div class=x>We sell<div hidden>more</div></div>", ["b"]),
        ("<p>b</p><div class=x><img alt=logo></div>", ["b"]),
        # Links, whatever they say: to the pages before and after this one, for example.
        ("<p>b</p><div class=x>Next: <a href=c><b>a</b> <i>chapter</i> of its own</a></div>", ["b"]),
        ("<p>b</p><div class=x>Next: <a href=c>page</a></div>", ["b", "Next: page"]),
        ("<p>b</p><div class=x><a href=c><div>a page</div></a><p>We sell</p></div>", ["b"]),
        # A list of links below a heading is the section of a page.
        ("<p>b</p><h2>See also</h2>\n<ul class=x><li><a href=c>c</a></ul>", ["b", "See also", "c"]),
        (
            "<p>b</p><section class=x><h2>See</h2><a href=c>another page</a></section>",
            ["b", "another page", "See"],
        ),
        ("<p>b</p> words <ul class=x><li><a href=c>c</a></ul>", ["words", "b"]),
    ],
)
def test_at_a_common_place_only_common_words_and_links_are_left_out(html: str, left: list[str]) -> None:
    texts = frozenset(map(digest_of, ("We sell", "nine lives")))
    assert contents(html, chrome=(".x",), chrome_texts=texts) == left


@pytest.mark.parametrize(
    "pages",
    [
        site(MIN_PAGES - 1, TEMPLATE),
        [(path, b"GIF8") for path, _ in site(20, TEMPLATE)],
        [(path, b"<frameset>") for path, _ in site(20, TEMPLATE)],
        [(path, b"") for path, _ in site(20, TEMPLATE)],
        site(20, "<body><p>{words}"),
        site(20, "<body><p>"),
    ],
)
def test_from_few_pages_or_different_ones_nothing_is_learnt(pages: list[tuple[str, bytes]]) -> None:
    assert learn(pages, Rules()) == Common()


def test_names_that_no_selector_has_are_not_learnt() -> None:
    learnt = learn(site(8, "<body><div class='a\x01b -'><b>x</b> same</div><p>{words}"), Rules())
    for selector in learnt.selectors:
        read("<p>a", chrome=(selector,))


@pytest.mark.parametrize(("pages", "numbers"), [(0, []), (3, [0, 1, 2]), (400, [10, 30, 50])])
def test_pages_to_learn_from_come_from_all_parts_of_a_site(pages: int, numbers: list[int]) -> None:
    assert list(sample_of(pages))[:3] == numbers
    assert len(sample_of(pages)) <= ENOUGH_PAGES


def test_the_explanation_names_what_is_outside_of_the_main_content() -> None:
    html = generated(
        "mkdocs-material-9",
        f"<p>before</p><style>.q {{ display: none }}</style><article class=md-content__inner>"
        f"<h1>Title<a class=headerlink>link</a></h1><p>{LONG}<b class=q>hidden</b>"
        f"<pre><span class=lineno>1</span>a</pre></article><p>after</p>",
    )
    page = explain(PATH, html.encode(), Rules(), Styles({}.get))
    assert (page.generator, page.why) == ("MkDocs Material", "MkDocs Material marks it")
    assert [(each.text, each.why) for each in page.left_out] == [
        ("before", "outside of the main content"),
        ("link", "MkDocs Material: .headerlink"),
        ("hidden", "hidden by <style>: .q"),
        ("after", "outside of the main content"),
    ]
    assert explain(PATH, b"", Rules()).skipped == "the file is empty"
