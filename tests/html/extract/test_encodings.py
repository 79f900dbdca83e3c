# ruff: noqa: RUF001 - letters of many alphabets
"""Bytes become text as in a browser, and text always becomes UTF-8."""

from __future__ import annotations

import pytest
from extract_kit import read, texts


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


WORDS = {
    "ar": "هذه صفحة باللغة العربية. الطقس اليوم في القاهرة جميل ونحن نذهب إلى الحديقة مع الأطفال.",
    "cs": "Toto je česká stránka. Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "de": "Dies ist eine deutsche Seite. In München gehen wir über die Straße in den Park. Größe, Füße.",
    "el": "Αυτή είναι μια ελληνική σελίδα. Σήμερα στην Αθήνα ο καιρός είναι καλός και πάμε στο πάρκο.",
    "fr": "Ceci est une page française. Le café est fermé à midi, mais l’été à Nîmes est très agréable.",
    "he": "זהו עמוד בעברית. היום מזג האוויר בירושלים נעים ואנחנו הולכים לפארק לטייל עם הילדים.",
    "ja": "これは日本語の文書です。東京都の天気は晴れ、気温は二十度です。",
    "ko": "이것은 한국어 문서입니다. 서울의 날씨는 맑고 우리는 오늘 공원에 갑니다.",
    "lt": "Tai lietuviškas puslapis. Šiandien Vilniuje gražus oras. Ąžuolas, ėjimas, žvaigždė, šūvis, įėjimas.",
    "pl": "To jest polska strona. Dzisiaj w Łodzi jest ładna pogoda, więc idziemy do parku. Zażółć gęślą jaźń.",
    "ru": "Это русская страница. Сегодня в Москве хорошая погода, и мы идём гулять в парк.",
    "th": "นี่คือหน้าเว็บภาษาไทย วันนี้อากาศดีที่กรุงเทพ เราไปเดินเล่นที่สวนสาธารณะกับเด็ก ๆ",
    "tr": "Bu bir Türkçe sayfadır. Bugün İstanbul’da hava güzel ve parka gidiyoruz. Şişli, çağrı, öğretmen, gün.",
    "tw": "這是一個中文網頁。台北的天氣晴朗，我們今天去公園散步。",
    "uk": "Це українська сторінка. Сьогодні в Києві гарна погода, і ми йдемо гуляти в парк. Тут є їжак і ґанок.",
    "zh": "这是一个中文网页。北京的天气晴朗，我们今天去公园散步。",
}


@pytest.mark.parametrize(
    ("written", "language", "codec"),
    [
        ("<meta charset=utf-8>", "ja", "utf-8"),
        ("<meta charset=shift_jis>", "ja", "cp932"),
        ("<meta charset=gb18030>", "zh", "gb18030"),
        ("<meta charset=iso-8859-1>", "fr", "cp1252"),
        ("<meta charset=iso-8859-15>", "de", "iso8859-15"),
        ("<meta charset=windows-1258>", "de", "cp1258"),
        ("<meta charset=macintosh>", "fr", "mac_roman"),
        ("<meta charset=utf-16>", "de", "utf-8"),
        ("<meta http-equiv=content-type content='text/html; charset=windows-1251'>", "ru", "cp1251"),
        ("<meta http-equiv=content-type content='text/html; charset=euc-kr'>", "ko", "cp949"),
        (f"<!--{'x' * 1500}--><meta charset=windows-1250>", "cs", "cp1250"),
        ("<?xml version='1.0' encoding='iso-8859-2'?>", "pl", "iso8859-2"),
        ("<?xml version='1.0' encoding='windows-1251'?>", "ru", "cp1251"),
        ("\ufeff", "ru", "utf-8"),
        ("\ufeff", "ru", "utf-16-le"),
        ("\ufeff", "ja", "utf-16-be"),
        ("", "ja", "cp932"),
        ("", "ja", "euc_jp"),
        ("", "zh", "gbk"),
        ("", "tw", "big5"),
        ("", "ko", "cp949"),
        ("", "cs", "cp1250"),
        ("", "ru", "cp1251"),
        ("", "fr", "cp1252"),
        ("", "el", "cp1253"),
        ("", "he", "cp1255"),
        ("", "ar", "cp1256"),
        ("", "lt", "cp1257"),
        ("", "th", "cp874"),
        ("", "ru", "koi8_r"),
        ("", "uk", "koi8_u"),
        ("", "pl", "iso8859-2"),
        ("", "ru", "iso8859-5"),
        ("", "el", "iso8859-7"),
        ("", "ru", "cp866"),
        # Chromium shows other letters for these; here they are what the author wrote.
        ("", "tr", "cp1254"),
        ("", "el", "utf-8"),
        ("", "ja", "iso2022_jp"),
        ("", "ru", "utf-16-le"),
        ("", "fr", "utf-16-be"),
        ("<meta charset=x-nonsense>", "de", "utf-8"),
    ],
)
def test_a_page_in_any_encoding_is_read_as_in_chromium_or_better(written: str, language: str, codec: str) -> None:
    words = WORDS[language]
    html = f"{written}<!doctype html><html><title>x</title><p>{words}</p></html>"
    assert texts(html.encode(codec)) == [("p", words)]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        # A wrong declaration: browsers obey it.
        ("<meta charset=utf-8><p>Füße".encode("cp1252"), "F\ufffd\ufffde"),
        ("<meta charset=windows-1252><p>Füße".encode(), "FÃ¼ÃŸe"),
        (b"<meta charset=utf-8><p>a\xffb", "a\ufffdb"),
    ],
)
def test_a_wrong_declaration_is_obeyed(html: bytes, text: str) -> None:
    assert [found for _, found in texts(html)] == [text]


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
