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


RUSSIAN = "Это страница на русском языке, без объявления кодировки."
JAPANESE = "これは日本語で書かれた文章です。文字コードの宣言はありません。"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp866"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        ("这是一个没有声明编码的中文网页 内容是简体中文。", "gbk"),
        ("這是一個沒有宣告編碼的中文網頁 內容是繁體中文。", "big5"),
        ("이것은 인코딩 선언이 없는 한국어 페이지입니다.", "euc_kr"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Καλημέρα κόσμε, αυτή είναι μια σελίδα", "cp1253"),
        ("שלום עולם זה דף בעברית", "cp1255"),
        ("هذه صفحة باللغة العربية بدون ترميز", "cp1256"),
        ("นี่คือหน้าเว็บภาษาไทย", "cp874"),
        ("Café crème à la carte, déjà vu, naïve", "cp1252"),
    ],
)
def test_what_is_not_declared_is_found_by_its_letters(text: str, codec: str) -> None:
    assert texts(b"<title>x</title><p>" + text.encode(codec)) == [("p", text)]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (b"<?xml version='1.0' encoding='ISO-8859-2'?><html><p>\xbe", "ž"),
        (b"<?xml version='1.0' encoding='utf-16'?><html><p>\xc3\xa9", "é"),
        (b"<?xml version='1.0' encoding='bogus'?><html><p>\xe9", "é"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><html><meta charset=windows-1251><p>\xe6", "ж"),
        ("Déjà vu, café".encode() + b" \xff", "Déjà vu, café \ufffd"),
    ],
)
def test_declarations_of_xml_and_damaged_utf_8(html: bytes, text: str) -> None:
    assert [found for _, found in texts(html)] == [text]


def test_nul_in_attributes_and_titles_is_replaced() -> None:
    page = read(b"<title>a\0b</title><p class='\0' id='&#xDFFF;'>c")
    assert page.head == {"title": "a\ufffdb"}
    assert page.above_fold_blocks[0].attributes == {"class": "\ufffd", "id": "\ufffd"}
