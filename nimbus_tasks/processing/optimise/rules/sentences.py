"""Whole sentences of a text. Where it is not sure that one ends, it goes on: a long sentence does no harm."""

from __future__ import annotations

import re

from nimbus_tasks.processing.optimise.rules.marks import CLOSING, ENDING

#: Where one may end: its marks, what closes behind them, and a blank.
_MAYBE_END = re.compile(rf"[{ENDING}]+[{CLOSING}]*(?=\s)")
_ENDS = re.compile(rf"[{ENDING}][{CLOSING}]*$")
_CLOSING = re.compile(rf"[{CLOSING}]+$")
_FIRST_SIGN = re.compile(r"[^\W_]")

#: Words whose full stop belongs to them, in a few languages; letters alone and numbers do not end a sentence either.
_SHORTENED = frozenset(
    {
        *("abb", "approx", "art", "bd", "bzw", "ca", "cf", "ch", "chap", "co", "corp", "dept", "dipl", "dr", "ed"),
        *("eds", "eg", "engl", "etc", "evtl", "fig", "figs", "ggf", "gen", "hr", "inc", "incl", "inkl", "ing"),
        *("ie", "jr", "jun", "lt", "ltd", "max", "mio", "min", "mr", "mrs", "ms", "mt", "nr", "no", "nos", "num"),
        *("op", "pag", "par", "pp", "prof", "resp", "rev", "sec", "sen", "sog", "sr", "st", "str", "tel", "univ"),
        *("usw", "vgl", "vol", "vols", "vs", "zzgl"),
    }
)
_PAIRS = (("(", ")"), ("[", "]"), ("\u00ab", "\u00bb"))
_LOW_QUOTE, _LEFT_QUOTE, _RIGHT_QUOTE = "\u201e\u201c\u201d"


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, with its rest as the last one."""
    found = []
    start = 0
    for match in _MAYBE_END.finditer(text):
        if _is_end(text[start : match.end()], text[match.end() :]):
            found.append(text[start : match.end()].strip())
            start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def is_whole(text: str) -> bool:
    """Say whether a text ends as sentences do, with nothing left open."""
    return (
        _ENDS.search(text) is not None
        and all(text.count(left) == text.count(right) for left, right in _PAIRS)
        and text.count('"') % 2 == 0
        and _closes_quotes(text)
    )


def _closes_quotes(text: str) -> bool:
    low, left, right = map(text.count, (_LOW_QUOTE, _LEFT_QUOTE, _RIGHT_QUOTE))
    # What opens in English closes in German.
    return low == left + right if low else left == right


def _is_end(said: str, rest: str) -> bool:
    first = _FIRST_SIGN.search(rest)
    if first is None or first[0].islower():
        return False
    stripped = _CLOSING.sub("", said)
    if not stripped.endswith("."):
        return True
    # "e.g." and "z. B." end in a letter alone, "3. Mai" in a number.
    word = stripped.split()[-1].rstrip(".").rpartition(".")[2].lstrip("(").casefold()
    return not (len(word) == 1 or word in _SHORTENED or word.isdigit())
