"""The redirects of a site: from its pages that only lead elsewhere, and from a host's `_redirects` file."""

from __future__ import annotations

import pytest

from nimbus_tasks.html import redirects
from nimbus_tasks.html.redirects import first_of_each, page_redirect, read_redirects
from nimbus_tasks.model.records import Redirect


@pytest.mark.parametrize(
    ("url", "target", "to"),
    [
        ("/old/", "../new/index.html#a", "/new/#a"),
        ("/old.html", "https://Example.com/neu/ü.html", "/neu/%C3%BC.html"),
        ("/old.html", "https://other.example/", "https://other.example/"),
        ("/old.html", "/search?q=1", "/search?q=1"),
        ("/old.html", "old.html", None),
        ("/old.html", "javascript:x()", None),
        ("/old.html", "//other.example/", None),
    ],
)
def test_where_a_page_leads(url: str, target: str, to: str | None) -> None:
    found = page_redirect(url, f"only redirects to {target}", "example.com")
    assert found == (None if to is None else Redirect(url, to, 301))


def test_a_page_that_was_skipped_for_another_reason_leads_nowhere() -> None:
    assert page_redirect("/a", "the file is empty", "") is None


def test_the_file_of_a_host() -> None:
    text = """\
# comment
/a /b
/c  /d/index.html  308   # comment
/e https://other.example/x 302!
/blog/* /news/:splat 301
/from/:year /x
/y /:year/z
/splat /:splat
/p /q 200
/r /s 404
/t /u 301 Country=de
/v?x=1 /w
/*/z /z
one
/same /same
/x /z 3x1
"""
    assert list(read_redirects(text, "example.com")) == [
        Redirect("/a", "/b", 301),
        Redirect("/c", "/d/", 308),
        Redirect("/e", "https://other.example/x", 302),
        Redirect("/blog/*", "/news/:splat", 301),
    ]


def test_the_first_of_each_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Redirect("/a", "/b"), Redirect("/a", "/c"), Redirect("/d", "/e"), Redirect("/f", "/g")]
    assert first_of_each(found) == [found[0], found[2], found[3]]
    monkeypatch.setattr(redirects, "MOST_REDIRECTS", 2)
    assert first_of_each(found) == [found[0], found[2]]
