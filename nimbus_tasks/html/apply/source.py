"""From bytes to the characters that the parser reads, and edits of these back into the bytes, in any encoding.

The parser reads each line end as one line feed; the bytes keep theirs.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from nimbus_tasks.html.apply.markup import UnsafeChangeError
from nimbus_tasks.html.extract.parse import parse_page, parse_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nimbus_tasks.html.apply.markup import Edit

#: Encodings with other names in Python than in the WHATWG's standard.
_PYTHON_NAMES = {
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
#: Encodings in which the meaning of a byte depends on those before it.
_STATEFUL = frozenset({"iso2022_jp"})
#: Python copies the page for each error. A page with more errors is not text.
_MAX_ERRORS = 100
_LINE_END = re.compile("\r\n?")


class Source:
    """The characters of a page and their bytes.

    Raises:
        UnsafeChangeError: the characters cannot be matched with bytes.
    """

    def __init__(self, html: bytes) -> None:
        document = parse_page(html)
        name = document.encoding or "UTF-8"
        self._html = html
        self._codec = _codec(name)
        #: Where decoding restarts after an invalid byte: character and byte.
        self._restarts: list[tuple[int, int]] = []
        self._written = "".join(self._decoded(next((len(mark) for mark in _MARKS if html.startswith(mark)), 0)))
        #: The page as the parser reads it. All places are offsets in this text.
        self.text = _LINE_END.sub("\n", self._written)
        # Offsets in `text` after the nth two-character line end are n less than in `_written`.
        ends = [match.end() for match in re.finditer("\r\n", self._written)]
        self._crlf_ends = [end - number for number, end in enumerate(ends, 1)]
        first = re.search("\r\n?|\n", self._written)
        self._line_end = first[0] if first else "\n"
        # A page of ASCII that does not declare UTF-8 may be served in any encoding: it stays ASCII.
        self._target_codec = "ascii" if html.isascii() and self._codec not in _UTF else self._codec
        if self._codec != "utf-8" and parse_text(self.text).html != document.html:
            raise _not_text(name)

    def splice(self, edits: Sequence[Edit]) -> bytes:
        """Return the bytes with these edits, which ascend and do not overlap. All other bytes stay."""
        places = iter(self._bytes_at([place for edit in edits for place in (edit.start, edit.end)]))
        pieces = []
        done = 0
        for edit in edits:
            pieces += [self._html[done : next(places)], self._encoded(edit.text)]
            done = next(places)
        return b"".join([*pieces, self._html[done:]])

    def _encoded(self, text: str) -> bytes:
        # A character that the encoding lacks becomes a reference, valid in texts and attributes.
        return text.replace("\n", self._line_end).encode(self._target_codec, "xmlcharrefreplace")

    def _bytes_at(self, places: Sequence[int]) -> list[int]:
        """Return the byte offsets of characters; the places ascend."""
        found = []
        character, byte = self._restarts[0]
        for place in places:
            written = place + bisect_left(self._crlf_ends, place + 1)
            restart = self._restarts[bisect_right(self._restarts, (written, len(self._html))) - 1]
            character, byte = max(restart, (character, byte))
            byte += len(self._written[character:written].encode(self._codec))
            character = written
            found.append(byte)
        return found

    def _decoded(self, byte: int) -> Iterator[str]:
        character = 0
        for _ in range(_MAX_ERRORS):
            self._restarts.append((character, byte))
            try:
                piece, wrong = self._html[byte:].decode(self._codec), 0
            except UnicodeDecodeError as error:
                piece, wrong = self._html[byte : byte + error.start].decode(self._codec), error.end - error.start
            length = len(encoded := piece.encode(self._codec))
            # Some encodings write a character in two ways; then its place is not certain.
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
        # The WHATWG defines the bytes that windows-1252 and similar encodings leave undefined.
        return "\ufffd" if self._codec in _UTF else piece.decode("latin-1")[:1]


def codec_of(html: bytes) -> str:
    """Return Python's name of a page's encoding.

    Raises:
        UnsafeChangeError: Python cannot write it.
    """
    return _codec(parse_page(html).encoding or "UTF-8")


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(_PYTHON_NAMES.get(name, name)).name
    except LookupError:
        raise UnsafeChangeError(f"its encoding, {name}, cannot be written back") from None
    if codec in _STATEFUL:
        raise UnsafeChangeError(f"its encoding, {name}, cannot be written back")
    return codec


def _not_text(encoding: str) -> UnsafeChangeError:
    return UnsafeChangeError(f"some of its bytes do not map to {encoding} and back")
