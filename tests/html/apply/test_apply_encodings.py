"""Bytes stay in the page's encoding; what that lacks becomes a reference."""

from __future__ import annotations

import pytest
from apply_kit import apply


def page(text: str, label: str = "", codec: str = "utf-8") -> bytes:
    meta = f"<meta charset={label}>" if label else ""
    return f"{meta}<title>t</title>\r\n<p>{text}</p>\r\n<p>é</p>\r".encode(codec)


@pytest.mark.parametrize(
    ("label", "codec", "old", "new", "written"),
    [
        ("", "utf-8", "Caf\u00e9 old", "Caf\u00e9 “時計” 😀", "Caf\u00e9 “時計” 😀"),
        ("", "utf-8-sig", "Caf\u00e9 😀 old", "Caf\u00e9 😀 時計", "Caf\u00e9 😀 時計"),
        ("", "utf-16", "Caf\u00e9 😀 old", "Caf\u00e9 😀 時計", "Caf\u00e9 😀 時計"),
        ("iso-8859-1", "cp1252", "“Caf\u00e9” old", "“Caf\u00e9” €5 時計", "“Caf\u00e9” €5 &#26178;&#35336;"),
        ("koi8-r", "koi8-r", "Привет old", "Привет мир “x”", "Привет мир &#8220;x&#8221;"),
    ],
)
def test_text_is_written_in_the_encoding_of_the_page(label: str, codec: str, old: str, new: str, written: str) -> None:
    before = page(old, label).decode().replace("é", "e" if codec == "koi8-r" else "é")
    applied = apply(before.encode(codec), (0, new))
    assert not applied.refused
    assert applied.html == before.replace(old, written).encode(codec)


@pytest.mark.parametrize(
    ("label", "codec", "old", "new"),
    [
        ("shift_jis", "cp932", "時計の修理", "時計の販売"),
        ("euc-kr", "cp949", "시계 수리", "시계 판매"),
        ("euc-jp", "euc_jp", "時計の修理", "時計の販売"),
        ("gbk", "gb18030", "手表修理", "手表销售"),
        ("big5", "big5hkscs", "鐘錶維修", "鐘錶銷售"),
    ],
)
def test_encodings_of_several_bytes(label: str, codec: str, old: str, new: str) -> None:
    before = f"<meta charset={label}><p>{old} x<p>{old} y"
    applied = apply(before.encode(codec), (1, f"{new} é"))
    after = f"<meta charset={label}><p>{old} x<p>{new} é"
    assert not applied.refused
    assert applied.html == after.encode(codec, "xmlcharrefreplace")


def test_a_page_of_ascii_alone_stays_so_where_it_does_not_say_utf_8() -> None:
    assert apply(b"<p>old", (0, "n\u00e9w")).html == b"<p>n&#233;w"
    assert apply(b"<meta charset=utf-8><p>old", (0, "n\u00e9w")).html == "<meta charset=utf-8><p>n\u00e9w".encode()


def test_bytes_that_are_no_text_stay() -> None:
    utf_8 = b"\xef\xbb\xbf<title>\xff\xc3</title><p>a \xe2\x82 b\xff old \xc3\xa9<p>x \xff y"
    assert apply(utf_8, (0, "a \ufffd b\ufffd new \u00e9"), (1, "x \ufffd z")).html == utf_8.replace(
        b"old", b"new"
    ).replace(b" y", b" z")
    windows = b"<meta charset=windows-1252><p>\x81\x9d \xe9 old<p>\x90 x"
    assert apply(windows, (0, "\x81\x9d \u00e9 new")).html == windows.replace(b"old", b"new")
    utf_16 = "\ufeff<p>a ".encode("utf-16-le") + b"\x00\xd8" + " old".encode("utf-16-le")
    assert apply(utf_16, (0, "a \ufffd new")).html == utf_16[:-6] + "new".encode("utf-16-le")


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (b"<meta charset=iso-2022-jp><p>old", "its encoding, ISO-2022-JP, cannot be written back"),
        (b"<meta charset=replacement><p>old", "its encoding, replacement, cannot be written back"),
        (b"<meta charset=windows-1255><p>old \xff", "some of its bytes do not map to"),
        (b"<meta charset=shift_jis><p>old \xfa\x4a", "some of its bytes do not map to"),
        (b"<meta charset=shift_jis><p>old \x81", "some of its bytes do not map to"),
        (b"<meta charset=utf-8><p>old " + b"\xff" * 200, "some of its bytes do not map to"),
    ],
)
def test_pages_whose_bytes_cannot_be_told_are_refused(html: bytes, reason: str) -> None:
    applied = apply(html, (0, "new"))
    assert applied.html == html
    assert reason in applied.refused[0][1]


def test_line_ends_of_every_kind_stay() -> None:
    html = b"<pre>a\r\nb\rc\nd old</pre>\r\r\n\n<p>x\r\ny\rz"
    applied = apply(html, (0, "a\nb\nc\nd new\ne"), (1, "x y w"))
    assert applied.html == b"<pre>a\r\nb\rc\nd new\r\ne</pre>\r\r\n\n<p>x\r\ny\rw"
