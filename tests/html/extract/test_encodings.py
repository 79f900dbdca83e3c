"""Bytes become text as in a browser, and text always becomes UTF-8."""

from __future__ import annotations

import pytest
from reading import read, texts


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (b"<p>h\xc3\xa9", "hé"),
        (b"<p>h\xe9\x93", "hé“"),
        (b"\xef\xbb\xbf<meta charset=koi8-r><p>h\xc3\xa9", "hé"),
        ("\ufeff<p>hé".encode("utf-16-le"), "hé"),
        ("\ufeff<p>hé".encode("utf-16-be"), "hé"),
        (b"<meta charset=utf-16><p>h\xc3\xa9", "hé"),
        (b"<meta charset=iso-8859-1><p>\x93", "“"),
        (b"<meta charset=x-user-defined><p>\xe9", "é"),
        (b"<meta charset=shift_jis><p>\x87\x40", "①"),
        (b"<meta charset=euc-kr><p>\x8c\x63", "똠"),
        (b"<meta charset=bogus><p>\xe9", "é"),
        (b"<!--" + b" " * 2000 + b"--><meta charset=koi8-r><p>\xc1", "\N{CYRILLIC SMALL LETTER A}"),
        (b"<meta http-equiv=content-type content='text/html; charset=koi8-r'><p>\xc1", "\N{CYRILLIC SMALL LETTER A}"),
        (b"<p>a\0b&#0;&#xD800;", "ab\ufffd\ufffd"),
        (b"\xff\xfe<\0p\0>\0\0\xd8x\0", "\ufffdx"),
    ],
)
def test_bytes_become_text(html: bytes, text: str) -> None:
    assert texts(html) == [("p", text)]


def test_nul_in_attributes_and_titles_is_replaced() -> None:
    page = read(b"<title>a\0b</title><p class='\0' id='&#xDFFF;'>c")
    assert page.head == {"title": "a\ufffdb"}
    assert page.above_fold_blocks[0].attributes == {"class": "\ufffd", "id": "\ufffd"}
