"""Files that are no pages to publish, and why; and files that look like that but are pages."""

from __future__ import annotations

import gzip

import pytest
from extract_kit import read, skipped, texts

TEXT = "<p>" + "word " * 60


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
        (b" " * 5000, "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not HTML but PNG"),
        (gzip.compress(b"<p>a", mtime=0), "not HTML but gzip"),
        (b"%PDF-1.7", "not HTML but PDF"),
        (b"\0\1\2\3" * 99, "not HTML but binary"),
        (b'{"a": "<p>"}', "not HTML but JSON"),
        (b'\xef\xbb\xbf [\n{"a": 1}]', "not HTML but JSON"),
        (b"<?xml version='1.0'?><!-- x - y --><rss><channel>", "not HTML but XML (rss)"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE doc [<!ELEMENT doc ANY>]><doc>a</doc>", "not HTML but XML (doc)"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'><title>a", "not HTML but XML (feed)"),
        (b"<frameset><frame src=x></frameset>", "it consists of frames"),
        (b"<meta name=robots content='NoIndex, follow'><p>a", "noindex"),
        (b"<meta name=robots content=none><p>a", "noindex"),
        (b"<meta http-equiv=Refresh content='0; URL=x.html'><p>moved", "only redirects to x.html"),
        (b"<meta http-equiv=refresh content=\"0;url='/a b'\">", "only redirects to /a b"),
        (b"<meta http-equiv=refresh content='0, x'>", "only redirects to x"),
    ],
)
def test_files_that_are_not_pages_are_skipped_with_a_reason(content: bytes, reason: str) -> None:
    assert reason in skipped(content)


@pytest.mark.parametrize(
    "content",
    [
        "a",
        "<p>a",
        "[a] <p>b",
        "{{ a }} <p>b",
        "<p>a\0b",
        "<svg></svg><p>a",
        "<?xml version='1.0' encoding='utf-8'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'x'><html><p>a",
        "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><p>a",
        "<!-- " + "- " * 9000 + "--><p>a",
        "<noscript><meta http-equiv=refresh content='0;url=x'></noscript><p>a",
        "<meta http-equiv=refresh content=300><p>a",
        f"<meta http-equiv=refresh content='9;url=x'>{TEXT}",
        "<meta name=robots content='index, nofollow'><p>a",
        "<img src=a>",
        "<title>Drawn by a script</title><p>&nbsp;</p><script>a</script>",
    ],
)
def test_what_is_a_page_is_read(content: str) -> None:
    assert read(content)


def test_noindex_pages_are_read_if_the_settings_say_so() -> None:
    html = "<meta name=robots content=noindex><p>a"
    assert texts(html, noindex=True) == [("p", "a")]
    assert read(html, noindex=True).head == {"robots": "noindex"}
