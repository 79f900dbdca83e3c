"""Finds a secret in a text, in the forms in which programs write it, and in part. Pure.

A server's message, a proxy's dump or a stack trace may hold a token encoded (base64, hex, percent, JSON, HTML), cut
off, or with its middle left out. So any run of LEAST_RUN characters counts; a short secret counts as a whole.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = "***"
#: Characters of a secret in a row that are no coincidence. The public start of an API key (`sk_live_`) is shorter.
LEAST_RUN = 12
#: A shorter secret is looked for as a whole only, and one below _LEAST_ENCODED only as it is.
_LEAST_CUT = 16
_LEAST_ENCODED = 8
#: How often an encoded text may be encoded again.
_LAYERS = 3

_ESCAPE = re.compile(
    r"%([0-9a-f]{2})|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|\\([/\"'\\])"
    r"|(&(?:#x[0-9a-f]{2,4}|#[0-9]{2,5}|amp|lt|gt|quot|apos);)",
    re.IGNORECASE,
)


class Form(NamedTuple):
    """A way in which a secret is written. least: characters of it in a row that give it away."""

    text: str
    least: int


def forms_of(secret: str) -> tuple[Form, ...]:
    """Return all ways in which a secret is looked for."""
    cut = LEAST_RUN if len(secret) >= _LEAST_CUT else len(secret)
    forms = {secret: cut}
    if len(secret) >= _LEAST_ENCODED:
        encoded = secret.encode()
        forms |= {encoded.hex(): 2 * cut, encoded.hex().upper(): 2 * cut}
        for before in range(3):
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                text = _inner(alphabet(bytes(before) + encoded).decode(), before, len(encoded))
                forms[text] = min(cut * 4 // 3 if cut == LEAST_RUN else len(text), len(text))
    return tuple(Form(text, least) for text, least in forms.items())


def scrub(text: str, forms: tuple[Form, ...]) -> str:
    """Return a text without the secret that is written in these forms."""
    spans = list(_spans(text, forms))
    if not text.isalnum():
        spans += _encoded_spans(text, forms)
    if not spans:
        return text
    spans.sort()
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            parts += [text[end:start], _HIDDEN]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _inner(encoded: str, before: int, length: int) -> str:
    """Return the characters of a base64 text that depend on nothing before and after the secret."""
    first = (0, 2, 3)[before]
    return encoded[first : (before + length) * 8 // 6]


def _spans(text: str, forms: tuple[Form, ...]) -> Iterator[tuple[int, int]]:
    """Yield where runs of the forms are."""
    for form, least in forms:
        # Each run of `least` characters has one of these pieces in it, at the same distance from the form's start.
        piece = (least + 1) // 2
        for at in range(0, len(form) - piece + 1, piece):
            wanted = form[at : at + piece]
            found = text.find(wanted)
            while found >= 0:
                start, stop = _widened(text, form, found, at, piece)
                if stop - start >= least:
                    yield start, stop
                    found = stop - 1
                found = text.find(wanted, found + 1)


def _widened(text: str, form: str, found: int, at: int, length: int) -> tuple[int, int]:
    start, stop = found, found + length
    left, right = at, at + length
    while start and left and text[start - 1] == form[left - 1]:
        start, left = start - 1, left - 1
    while stop < len(text) and right < len(form) and text[stop] == form[right]:
        stop, right = stop + 1, right + 1
    return start, stop


def _encoded_spans(text: str, forms: tuple[Form, ...]) -> Iterator[tuple[int, int]]:
    """Yield where runs of the forms are written with escapes."""
    layers = [text]
    while len(layers) <= _LAYERS and (decoded := _ESCAPE.sub(_character, layers[-1])) != layers[-1]:
        if found := list(_spans(decoded, forms)):
            places = list(range(len(decoded) + 1))
            for layer in reversed(layers):
                starts = _starts(layer)
                places = [starts[place] for place in places]
            for start, stop in found:
                yield places[start], places[stop]
        layers.append(decoded)


def _starts(text: str) -> list[int]:
    """Return where each character of the decoded text starts in this one, and where it ends."""
    starts: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        starts += range(end, match.start() + 1)
        end = match.end()
    return [*starts, *range(end, len(text) + 1)]


def _character(match: re.Match[str]) -> str:
    percent, four, two, plain, named = match.groups()
    if number := percent or four or two:
        return chr(int(number, 16))
    if plain:
        return plain
    import html  # its table of names takes 2 ms: not for every command

    return html.unescape(named)[:1] or " "
