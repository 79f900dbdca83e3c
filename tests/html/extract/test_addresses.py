"""The address of a page: from the place of its file, or its canonical address on the site's own domain."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.addresses import path_on_site, url_of
from nimbus_tasks.html.extract import Rules, extract
from nimbus_tasks.html.rules import renamed
from nimbus_tasks.model.page_map import FullPage

RULES = Rules(folder="dist", domain="https://Example.com/")


@pytest.mark.parametrize(
    ("canonical", "url"),
    [
        ("https://example.com/guide/", "/guide/"),
        ("http://EXAMPLE.com/guide/index.html#top", "/guide/"),
        ("https://example.com", "/"),
        ("/neu/ü b.html", "/neu/%C3%BC%20b.html"),
        ("../x.html", "/x.html"),
        ("https://www.example.com/guide/", "/docs/a.html"),
        ("https://other.org/guide/", "/docs/a.html"),
        ("https://example.com/?page=2", "/docs/a.html"),
        ("https://example.com/%E9.html", "/docs/a.html"),
        ("https://example.com/a%2Fb", "/docs/a.html"),
        ("https://example.com/a//b", "/docs/a.html"),
        ("mailto:me", "/docs/a.html"),
        ("", "/docs/a.html"),
    ],
)
def test_a_canonical_address_counts_on_the_sites_own_domain(canonical: str, url: str) -> None:
    html = f'<link rel=canonical href="{canonical}"><p><a href="b.html">b</a>'.encode()
    page = extract("dist/docs/a.html", html, RULES)
    assert isinstance(page, FullPage)
    assert page.url == url
    links = [link for block in page.above_fold_blocks for link in getattr(block, "links", ())]
    assert [link.href for link in links] == ["/docs/b.html"]  # the file's place is what a browser resolves against


def test_without_a_domain_only_a_path_counts() -> None:
    rules = msgspec.structs.replace(RULES, domain="")
    for canonical, url in (("https://example.com/x", "/a.html"), ("/x", "/x")):
        page = extract("dist/a.html", f"<link rel=canonical href={canonical}><p>a".encode(), rules)
        assert isinstance(page, FullPage)
        assert page.url == url


@given(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1))
def test_the_address_of_a_file_is_written_one_way(name: str) -> None:
    if name in (".", ".."):
        return
    url = url_of(f"dist/d/{name}", "dist")
    assert url.isascii()
    assert path_on_site(url) == url


@pytest.mark.parametrize("path", ["", "a", "/a/../../b%5c", "/%00", "/%0a", "/a%2fb", "/%ff", "//a", "/a//b"])
def test_what_names_no_page(path: str) -> None:
    assert path_on_site(path) == ""


def test_dots_are_resolved() -> None:
    assert path_on_site("/a/./b/../c.html") == "/a/c.html"


@pytest.mark.parametrize(
    ("path", "folder", "other", "named"),
    [
        ("build/a/b.html", "build", "dist", "dist/a/b.html"),
        ("build/a.html", "build", ".", "a.html"),
        ("a.html", ".", "site/html", "site/html/a.html"),
        ("builds/a.html", "build", "dist", "builds/a.html"),
    ],
)
def test_a_folder_may_have_another_name(path: str, folder: str, other: str, named: str) -> None:
    assert renamed(path, folder, other) == named
