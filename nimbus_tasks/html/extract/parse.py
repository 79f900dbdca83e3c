"""From bytes to the tree that a browser builds, or the reason why a file is not a page to publish."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.html.extract.text import collapsed_text
from nimbus_tasks.html.rules import REDIRECTS_TO

if TYPE_CHECKING:
    from turbohtml import Document, Element

    from nimbus_tasks.html.extract.head import Head
    from nimbus_tasks.html.rules import Rules

# First bytes of files that sometimes have a page's name.
_SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"BZh", "bzip2"),
    (b"GIF8", "GIF"),
    (b"OggS", "Ogg"),
    (b"PK\x03\x04", "ZIP"),
    (b"RIFF", "RIFF"),
    (b"SQLite format 3", "SQLite"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"\x7fELF", "ELF"),
    (b"\xfd7zXZ", "xz"),
    (b"(\xb5/\xfd", "Zstandard"),
)
_UTF_8 = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BEGINNING = 4096
_ANY_TAG = re.compile(rb"<[!/?]?[a-zA-Z]")
_JSON = re.compile(rb"\s*(?: \{ \s* [\"}] | \[ \s* [\[{\"\]\d] )", re.VERBOSE)
# The first tag after declaration, comments and document type. `[^-]` and the like read each comment only once.
_ROOT = re.compile(
    rb"\s* (?: <(?: \?[^>]*> | !--(?: [^-] | -(?!->) )*--> | ![dD][^>\[]*(?:\[[^\]]*\]\s*)?> ) \s* )* <([\w:-]+)",
    re.VERBOSE,
)
_XML_ROOTS = frozenset({b"feed", b"opml", b"rdf:rdf", b"rss", b"sitemapindex", b"urlset", b"xsl:stylesheet"})

# The parser joins the attributes of all <body> and <html> tags in quadratic time and memory: 20,000 tags take
# 13 seconds, 100,000 all memory. Real pages have one of each.
_MAX_BODY_TAGS = 1000
_BODY_TAG = re.compile(rb"<[bBhH][oOtT][dDmM][yYlL]")  # half the time of a pattern that ignores case
_LARGE = 131_072  # smaller files hold too few tags to matter; counting them would slow down every page

#: A stub says little more than "this page has moved to ...". Pages with more text are extracted, redirect or not.
MAX_STUB = 200  # characters
_REDIRECT = re.compile(r"[\d.\s]* [;,\s] \s* (?: url \s* = \s* )? ['\"]? ([^'\"]+)", re.IGNORECASE | re.VERBOSE)


def not_a_page(html: bytes) -> str | None:
    """Return why a file cannot be read as an HTML page, or None. A fragment without `<html>` is a page."""
    if not html or html.isspace():
        return "the file is empty"
    if kind := _foreign_kind(html[:_BEGINNING]):
        return f"not HTML but {kind}"
    if len(html) > _LARGE and len(_BODY_TAG.findall(html)) > _MAX_BODY_TAGS:
        return f"it has more than {_MAX_BODY_TAGS} <html> and <body> tags"
    return None


def _foreign_kind(beginning: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if beginning.startswith(signature):
            return kind
    if beginning.startswith(_UTF_16) or _unmarked_utf_16(beginning):
        return None  # the checks below read ASCII
    beginning = beginning.removeprefix(_UTF_8)
    if _JSON.match(beginning):
        return "JSON"
    if (root := _ROOT.match(beginning)) and _is_xml(beginning, root[1].lower()):
        return f"XML ({root[1].decode('ascii')})"
    return "binary" if b"\0" in beginning and not _ANY_TAG.search(beginning) else None


def _is_xml(beginning: bytes, root: bytes) -> bool:
    return root in _XML_ROOTS or (beginning.lstrip().startswith(b"<?xml") and root != b"html")


def not_for_readers(head: Head, body: Element, rules: Rules) -> str | None:
    """Return why a page must not be published, or None. Scripts, styles and templates must be empty already."""
    # First, because robots are often asked not to index a redirect.
    if (target := _REDIRECT.match(head.refresh)) and len(collapsed_text(body)) <= MAX_STUB:
        return f"{REDIRECTS_TO}{target[1].strip()}"
    if not rules.noindex and not {"noindex", "none"}.isdisjoint(re.split(r"[\s,]+", head.robots)):
        return "robots are asked not to index it (noindex)"
    return None


# --- encoding -----------------------------------------------------------------------------------------

_DECLARED_AS_XML = re.compile(rb"\s*<\?xml\b[^>]{0,100}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII = bytes(range(128))
#: Bytes of `<html>` in UTF-16.
_FIRST_TAG = 12
#: UTF-8 with a few damaged bytes has at least this many good characters for each of them.
_GOOD_FOR_A_BAD = 3


def parse_page(html: bytes) -> Document:
    """Parse a page as a browser with scripts does: `noscript` holds text, `template` no content.

    The encoding comes from the byte order mark, else from a `<meta>` anywhere, else from `<?xml encoding?>`. Where
    nothing is declared, it is UTF-16 if each second byte of the first tag is NUL, UTF-8 if nearly all bytes are, else
    the one whose letters occur as in a language, else windows-1252. Labels mean what the WHATWG says.
    """
    from turbohtml import parse

    encoding = _unmarked_utf_16(html)
    if encoding is None:
        document = parse(
            html, detect_encoding=True, scripting=True, positions=False, allow_declarative_shadow_roots=False
        )
        if document.encoding_confidence == "certain" or html.isascii() or document.encoding == "UTF-8":
            return document
        encoding = _undetected_encoding(html)
        if encoding is None:
            return document
    try:
        return parse(html, encoding=encoding, scripting=True, positions=False, allow_declarative_shadow_roots=False)
    except LookupError:  # a label that nobody knows
        return document


def _unmarked_utf_16(html: bytes) -> str | None:
    """Return in which UTF-16 a page is whose first tag has a NUL beside each character; None: in neither."""
    first = html[:_FIRST_TAG]
    if len(first) < _FIRST_TAG or b"<" not in first[:2]:
        return None
    if not any(first[1::2]):
        return "utf-16le"
    return "utf-16be" if not any(first[::2]) else None


def _undetected_encoding(html: bytes) -> str | None:
    """Return an encoding that browsers and the parser do not look for, or None."""
    if declared := _DECLARED_AS_XML.match(html):
        label = declared[1].decode("ascii", "replace").lower()
        # As in `<meta>`: a page whose declaration can be read is not UTF-16.
        return "utf-8" if label.startswith("utf-16") else label
    characters = _CHARACTER.findall(html)
    bad = len(html.translate(None, _ASCII)) - sum(map(len, characters))
    return "utf-8" if len(characters) >= _GOOD_FOR_A_BAD * bad else None


def parse_text(text: str) -> Document:
    """Parse a page like `parse_page`, but from characters, and keep where each tag is written."""
    from turbohtml import parse

    return parse(text, scripting=True, positions=False, source_locations=True, allow_declarative_shadow_roots=False)
