"""Bytes <-> the characters that the parser reads, each with its place, in any encoding that can be written back.

Line ends are one line feed each to the parser, and whatever they were in the bytes.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.change import NotCertainError
from nimbus_tasks.html.apply.tree import parse_text
from nimbus_tasks.html.extract.parse import parse_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.html.apply.change import Edit

#: Encodings that Python knows by another name than the WHATWG. The others have the same.
_PYTHONS_NAMES = {
    "Big5": "big5hkscs",
    "EUC-KR": "cp949",
    "GBK": "gb18030",
    "IBM866": "cp866",
    "ISO-8859-8-I": "iso8859-8",
    "Shift_JIS": "cp932",
    "macintosh": "mac_roman",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF = frozenset({"utf-8", "utf-16-le", "utf-16-be"})
#: A byte in these means what the bytes before it say.
_WITH_STATE = frozenset({"iso2022_jp"})
#: Python copies the page for each error, and a page with more is no text.
_MOST_ERRORS = 100
_LINE_END = re.compile("\r\n?")


class Source:
    """A page's characters over its bytes.

    Raises:
        NotCertainError: the bytes cannot be matched with characters.
    """

    def __init__(self, html: bytes) -> None:
        document = parse_page(html)
        name = document.encoding or "UTF-8"
        self._html = html
        self._codec = _codec(name)
        #: Where decoding begins anew, after a byte that is no text: character and byte.
        self._restarts: list[tuple[int, int]] = []
        self._written = "".join(self._decoded(next((len(mark) for mark in _MARKS if html.startswith(mark)), 0)))
        #: The page as the parser reads it: all places are places in this text.
        self.text = _LINE_END.sub("\n", self._written)
        # The nth line end of two characters stands before the place that many fewer.
        ends = [match.end() for match in re.finditer("\r\n", self._written)]
        self._short = [end - number for number, end in enumerate(ends, 1)]
        first = re.search("\r\n?|\n", self._written)
        self._line_end = first[0] if first else "\n"
        # A page of ASCII alone that is not said to be UTF-8 may be served as anything: it stays ASCII.
        self._into = "ascii" if html.isascii() and self._codec not in _UTF else self._codec
        if self._codec != "utf-8" and parse_text(self.text).html != document.html:
            raise _not_text(name)

    def splice(self, edits: Sequence[Edit]) -> bytes:
        """Return the bytes with these edits, which ascend and do not overlap; all others are as they were."""
        places = iter(self._bytes_at([place for edit in edits for place in (edit.start, edit.end)]))
        pieces = []
        done = 0
        for edit in edits:
            pieces += [self._html[done : next(places)], self._encoded(edit.text)]
            done = next(places)
        return b"".join([*pieces, self._html[done:]])

    def _encoded(self, text: str) -> bytes:
        # A character that the encoding lacks becomes a reference, which texts and attributes may hold.
        return text.replace("\n", self._line_end).encode(self._into, "xmlcharrefreplace")

    def _bytes_at(self, places: Sequence[int]) -> list[int]:
        """Return where characters begin in the bytes; the characters ascend."""
        found = []
        character, byte = self._restarts[0]
        for place in places:
            written = place + bisect_left(self._short, place + 1)
            restart = self._restarts[bisect_right(self._restarts, (written, len(self._html))) - 1]
            character, byte = max(restart, (character, byte))
            byte += len(self._written[character:written].encode(self._codec))
            character = written
            found.append(byte)
        return found

    def _decoded(self, byte: int) -> Iterator[str]:
        character = 0
        for _ in range(_MOST_ERRORS):
            self._restarts.append((character, byte))
            try:
                piece, wrong = self._html[byte:].decode(self._codec), 0
            except UnicodeDecodeError as error:
                piece, wrong = self._html[byte : byte + error.start].decode(self._codec), error.end - error.start
            length = len(encoded := piece.encode(self._codec))
            # Some encodings have two ways to write a character, and then its place is not certain.
            if encoded != self._html[byte : byte + length]:
                raise _not_text(self._codec)
            yield piece
            if not wrong:
                return
            byte += length
            yield self._wrong(self._html[byte : byte + wrong])
            character += len(piece) + 1
            byte += wrong
        raise _not_text(self._codec)

    def _wrong(self, piece: bytes) -> str:
        # The WHATWG gives a meaning to the bytes that windows-1252 and its like leave free.
        return "\ufffd" if self._codec in _UTF else piece.decode("latin-1")[:1]


def codec_of(html: bytes) -> str:
    """Return Python's name of a page's encoding.

    Raises:
        NotCertainError: Python has none that could be written back.
    """
    return _codec(parse_page(html).encoding or "UTF-8")


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(_PYTHONS_NAMES.get(name, name)).name
    except LookupError:
        raise NotCertainError(f"its encoding, {name}, cannot be written back") from None
    if codec in _WITH_STATE:
        raise NotCertainError(f"its encoding, {name}, cannot be written back")
    return codec


def _not_text(encoding: str) -> NotCertainError:
    return NotCertainError(f"some of its bytes are not certain to be {encoding}")
