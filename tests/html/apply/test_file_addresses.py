"""Public addresses of files in a page: where they belong, and every other byte as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.apply import file_addresses
from nimbus_tasks.html.apply.file_addresses import PublicFile, address_files, restore_addresses
from nimbus_tasks.html.apply.markup import Edit, UnsafeChangeError
from nimbus_tasks.model.changes import Replaced

PUBLIC = {
    "dist/w.jpg": PublicFile("https://cdn/w?a=1&b", 3, 2),
    "dist/img/b c.png": PublicFile("https://cdn/b"),
    "dist/feed.xml": PublicFile("https://cdn/f"),
    "dist/c.html": PublicFile("https://cdn/c"),
}
COPIES = PublicFile("https://cdn/p?a&b", 800, 600, (("https://cdn/200", 200), ("https://cdn/400?a&b", 400)))
W = "https://cdn/w?a=1&amp;b"


def addressed(html: str, path: str = "dist/sub/a.html", folder: str = "dist") -> str:
    return address_files(html.encode(), path, folder, PUBLIC.get).html.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<img width=1 src=/w.jpg>", f'<img width=1 src="{W}">'),
        ("<img height=1 src='../w.jpg'>", f"<img height=1 src='{W}'>"),
        ("<img src=/w.jpg>", f'<img src="{W}" width="3" height="2">'),
        ("<IMG SRC = '/w.jpg' ALT=x>", f"<IMG SRC = '{W}' width='3' height='2' ALT=x>"),
        ("<img src=/img/b%20c.png>", '<img src="https://cdn/b">'),
        (
            "<img srcset='/w.jpg 1x,/img/b%20c.png 2x, x.png 3x'>",
            f"<img srcset='{W} 1x,https://cdn/b 2x, x.png 3x'>",
        ),
        ("<picture><source srcset=/w.jpg></picture>", f'<picture><source srcset="{W}"></picture>'),
        ("<video src=/w.jpg poster=/w.jpg></video>", f'<video src="{W}" poster="{W}"></video>'),
        ("<audio src=/w.jpg></audio>", f'<audio src="{W}"></audio>'),
        ("<input type=image src=/w.jpg>", f'<input type=image src="{W}">'),
        ('<link rel="shortcut icon" href="/w.jpg">', f'<link rel="shortcut icon" href="{W}">'),
        ('<meta property="og:image" content="/w.jpg">', f'<meta property="og:image" content="{W}">'),
        ("<a class=b href=/w.jpg>b</a>", f'<a class=b href="{W}">b</a>'),
        ("<map><area href='/w.jpg#page=2'></map>", f"<map><area href='{W}#page=2'></map>"),
        ("<img width=1 src=/w.jpg#a srcset=/w.jpg#b>", f'<img width=1 src="{W}#a" srcset="{W}#b">'),
        ("<base href=/img/><img alt='' src='b c.png'>", "<base href=/img/><img alt='' src='https://cdn/b'>"),
        (
            '<link rel=canonical href="https://me.example/a"><img width=1 src="https://me.example/w.jpg">',
            f'<link rel=canonical href="https://me.example/a"><img width=1 src="{W}">',
        ),
    ],
)
def test_addresses_of_known_files_become_public(before: str, after: str) -> None:
    html = f"<title>t</title>\r\n{before}<p>é"
    assert addressed(html) == f"<title>t</title>\r\n{after}<p>é"
    made = address_files(html.encode(), "dist/sub/a.html", "dist", PUBLIC.get)
    assert restore_addresses(made.html, made.replaced).decode() == html
    assert addressed(after) == after


SRCSET = "https://cdn/200 200w, https://cdn/400?a&amp;b 400w, https://cdn/p?a&amp;b 800w"


@pytest.mark.parametrize(
    ("before", "added", "sizes"),
    [
        ('<img src="/p.jpg">', ' width="800" height="600"', "(max-width: 800px) 100vw, 800px"),
        ('<img src="/p.jpg" width=300>', "", "(max-width: 300px) 100vw, 300px"),
        ('<img src="/p.jpg" width=" 300px" height=9>', "", "(max-width: 300px) 100vw, 300px"),
        ('<img src="/p.jpg" height=300>', "", "(max-width: 400px) 100vw, 400px"),
        ('<img src="/p.jpg" width="50%">', "", "(max-width: 800px) 100vw, 800px"),
        ('<img src="/p.jpg" sizes=50vw width=1>', "", ""),
        ('<picture><img src="/p.jpg" width=1></picture>', "", "(max-width: 1px) 100vw, 1px"),
    ],
)
def test_a_picture_with_copies_gets_a_srcset(before: str, added: str, sizes: str) -> None:
    """Without `sizes`, a browser would lay it out as wide as the window; with it, as before."""
    made = address_files(before.encode(), "dist/a.html", "dist", {"dist/p.jpg": COPIES}.get).html.decode()
    attributes = f'{added} srcset="{SRCSET}"' + (f' sizes="{sizes}"' if sizes else "")
    assert made == before.replace('"/p.jpg"', f'"https://cdn/p?a&amp;b"{attributes}')


@pytest.mark.parametrize(
    "before",
    ['<img src="/p.jpg" width=1 srcset=x>', '<img src="/p.jpg" width=1 srcset>', '<video poster="/p.jpg"></video>'],
)
def test_what_has_a_srcset_or_takes_none_gets_none(before: str) -> None:
    made = address_files(before.encode(), "dist/a.html", "dist", {"dist/p.jpg": COPIES}.get).html.decode()
    assert made == before.replace("/p.jpg", "https://cdn/p?a&amp;b")


@pytest.mark.parametrize("address", ["https://cdn/a b", "https://cdn/a,", ",a"])
def test_an_address_that_would_break_a_srcset_is_in_none(address: str) -> None:
    public = PublicFile("https://cdn/p", 8, 6, ((address, 4),))
    made = address_files(b"<img src=/p.jpg width=1>", "dist/a.html", "dist", {"dist/p.jpg": public}.get)
    assert made.html == b'<img src="https://cdn/p" width=1>'


@pytest.mark.parametrize(
    "html",
    [
        "<a href=/c.html>x</a><a href=/feed.xml>x</a><a href=/w.jpg download>x</a><a href>x</a><a href=/x.pdf>x</a>",
        "<script src=/w.jpg></script><iframe src=/w.jpg></iframe>",
        "<img src=https://other.example/w.jpg><img src=w.jpg><img src><img src=' '><img alt=/w.jpg>",
        "<link rel=next href=/w.jpg><meta name=other content=/w.jpg><link>",
        "<svg><image href=/w.jpg /><video poster=/w.jpg /></svg>",
        "<!-- <img src=/w.jpg> --><textarea><img src=/w.jpg></textarea>",
        "<img srcset='2x, ,'>",
    ],
)
def test_everything_else_stays(html: str) -> None:
    assert addressed(html) == html


def test_the_files_of_a_page_are_named() -> None:
    html = b"<img src=/w.jpg><img src=/w.jpg srcset='/img/b%20c.png'>"
    made = address_files(html, "a.html", "", {"w.jpg": PUBLIC["dist/w.jpg"]}.get)
    assert made.files == ("w.jpg",)


def test_other_encodings_stay_what_they_are() -> None:
    before = "<meta charset=shift_jis><title>日本</title><img alt='本' src='/w.jpg' width=1>".encode("cp932")
    made = address_files(before, "dist/a.html", "dist", PUBLIC.get).html
    assert made == before.replace(b"/w.jpg", W.encode())


def test_addresses_that_were_written_anew_since_stay() -> None:
    made = address_files(b"<img src=/w.jpg width=1><p>a<img src='/w.jpg' width=2>", "dist/a.html", "dist", PUBLIC.get)
    edited = made.html.replace(b"<p>a", b"<p>b").replace(f'src="{W}"'.encode(), b"src=/w.jpg")
    assert restore_addresses(edited, made.replaced) == b"<img src=/w.jpg width=1><p>b<img src='/w.jpg' width=2>"
    assert restore_addresses(made.html, [Replaced("other", "")] * 60 + list(made.replaced)) == made.html
    unwritable = b"<meta charset=iso-2022-jp><img src=/w.jpg>"
    assert restore_addresses(unwritable, made.replaced) == unwritable


def test_an_edit_that_does_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_addresses, "set_value", lambda *_: Edit(0, 0, "<p>"))
    with pytest.raises(UnsafeChangeError, match="not read as it should"):
        addressed("<img src=/w.jpg>")


PIECES = (
    *("<img src=/w.jpg>", "<img ", "src='/w.jpg'", '"', "'", ">", "<p>", "</p>", "<table>", "<svg>", "</svg>"),
    *("<!--", "-->", "<script>", "</script>", "<img src=/w.jpg src=x>", "<video poster=/w.jpg>", "<base href=/>"),
    *("&amp;", "\0", "\r\n", " ", "a"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_markup_keeps_all_other_bytes_or_is_refused(html: str) -> None:
    try:
        made = address_files(html.encode(), "dist/a.html", "dist", PUBLIC.get)
    except UnsafeChangeError:
        return
    assert restore_addresses(made.html, made.replaced) == html.encode()
    without = made.html.decode()
    for quote in ('"', "'"):
        without = without.replace(f" width={quote}3{quote} height={quote}2{quote}", "")
        without = without.replace(f"{quote}{W}{quote}", "/w.jpg")
        html = html.replace(f"{quote}/w.jpg{quote}", "/w.jpg")
        without = without.replace(f"{quote}/w.jpg{quote}", "/w.jpg")
    assert without == html
