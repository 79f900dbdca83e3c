"""Bytes -> the tree a browser makes of them, or why they are not a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turbohtml import Document

# How files begin that are sometimes found under a page's name.
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
# Past declaration, comments and document type: the first tag. `[^-]` and friends never try a comment twice.
_ROOT = re.compile(
    rb"\s* (?: <(?: \?[^>]*> | !--(?: [^-] | -(?!->) )*--> | ![dD][^>\[]*(?:\[[^\]]*\]\s*)?> ) \s* )* <([\w:-]+)",
    re.VERBOSE,
)
_XML_ROOTS = frozenset({b"feed", b"opml", b"rdf:rdf", b"rss", b"sitemapindex", b"urlset", b"xsl:stylesheet"})

# The parser joins the attributes of all <body> and <html> tags in quadratic time and memory: 20,000 tags take
# 13 seconds, 100,000 all memory. Real pages have one of each.
_MOST_BODY_TAGS = 1000
_BODY_TAG = re.compile(rb"<[bBhH][oOtT][dDmM][yYlL]")  # half the time of a pattern that ignores case
_LARGE = 131_072  # the tags that fit in less cost some seconds; each real page would pay for the look


def not_a_page(html: bytes) -> str | None:
    """Return why a file is not an HTML page, or None. A fragment without any `<html>` is a page."""
    if not html or html.isspace():
        return "the file is empty"
    kind = _foreign_kind(html[:_BEGINNING])
    return f"not HTML but {kind}" if kind else None


def _foreign_kind(beginning: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if beginning.startswith(signature):
            return kind
    if beginning.startswith(_UTF_16):
        return None  # what follows reads ASCII
    beginning = beginning.removeprefix(_UTF_8)
    if _JSON.match(beginning):
        return "JSON"
    if (root := _ROOT.match(beginning)) and _is_xml(beginning, root[1].lower()):
        return f"XML ({root[1].decode('ascii')})"
    return "binary" if b"\0" in beginning and not _ANY_TAG.search(beginning) else None


def _is_xml(beginning: bytes, root: bytes) -> bool:
    return root in _XML_ROOTS or (beginning.lstrip().startswith(b"<?xml") and root != b"html")


def too_hard_to_parse(html: bytes) -> str | None:
    """Return why a page would take the parser far too long, or None."""
    if len(html) > _LARGE and len(_BODY_TAG.findall(html)) > _MOST_BODY_TAGS:
        return f"it has more than {_MOST_BODY_TAGS} <html> and <body> tags"
    return None


def parse_page(html: bytes) -> Document:
    """Parse a page as a browser with scripts does: `noscript` is text, `template` is no content.

    The encoding is the byte order mark's, else what a `<meta>` anywhere says, else UTF-8 where the bytes are
    that, else windows-1252; labels mean what the WHATWG says they mean.
    """
    from turbohtml import parse

    return parse(html, scripting=True, positions=False, allow_declarative_shadow_roots=False)
