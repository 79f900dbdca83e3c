"""Twice the text takes about twice the time: in extraction, validation, the rules, and the checks of answers."""

from __future__ import annotations

import gc
import math
import time
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.html.extract import Rules, extract
from nimbus_tasks.html.extract.rules import compile_pattern
from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.html.validate import validate_map
from nimbus_tasks.model.issues import printable, quote
from nimbus_tasks.model.page_map import Block
from nimbus_tasks.processing.optimise import Page
from nimbus_tasks.processing.optimise.openai.answers import BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.prompt import Part, Text, as_quoted, split
from nimbus_tasks.processing.optimise.rules import improve
from nimbus_tasks.processing.optimise.rules.description import is_whole, sentences
from nimbus_tasks.processing.optimise.rules.file_names import words_of
from nimbus_tasks.processing.optimise.rules.spacing import Style, tidied
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

#: Time at twice the size is at most this many times the time at the size.
MOST = 2.6
#: CPU seconds that are long enough to compare.
MEASURABLE = 0.004

HEAD = "<!doctype html><title>A page</title>"

#: Repeated to the wanted length, as the text of one paragraph or the value of one attribute.
TEXTS = {
    "sentences": "This is a sentence of words. ",
    "questions": "Why so? ",
    "letters": "a",
    "initials": "A. ",
    "abbreviations": "e.g. A ",
    "loose commas": "aa ,bb ",
    "marks": "Word !! ",
    "full stops": ".",
    "quotes": '"',
    "apostrophes": "ab'",
    "hyphens": "a-",
    "white space": " \n",
    "combining marks": "a\u0301",
    "addresses": "a.",
    "extensions": ".png",
    "references": "&amp;",
}


#: Markup, numbered where it has a %d.
PAGES = {
    "blocks": "<p>a",
    "inline": "<b>a</b>",
    "tables": "<table><tr><td>a",
    "items": "<ul><li>a",
    "ids here and there": "<p id=a%d>x<p>b",
    "many tags": "<x-%d>a</x-%d>",
    "images": "<img src=a-word-%d.png>",
    "hidden": "<div hidden>a",
    "comments": "<!--",
    "broken": "<p a='",
}


def repeated(unit: str, size: int) -> str:
    count = size // len(unit)
    return "".join(unit.replace("%d", str(n)) for n in range(count)) if "%d" in unit else unit * count


def page_of(text: str) -> Page:
    blocks = (Block("block-0", "h1", "A heading"), Block("block-1", "p", text))
    return Page("page_0", "dist/a.html", {"title": "A page", "lang": "en"}, blocks)


def extracted(text: str) -> object:
    return extract("dist/a.html", text.encode(), Rules())


def answered(text: str) -> object:
    part = Part("", "", (Text("block-0", "p", "a" * len(text)),))
    change = {"id": "block-0", "text": text, "reason": "A reason"}
    try:
        return read_answer(as_quoted({"changes": [change], "confidence": 1}), part)
    except BadAnswerError as error:
        return error


def validated(text: str) -> object:
    return validate_map("a.json", as_quoted({"path": text, "head": {"title": text}}).encode(), "proj_0")


FUNCTIONS: dict[str, tuple[Callable[[str], object], dict[str, str]]] = {
    "extract markup": (lambda text: extracted(HEAD + text), PAGES),
    "extract text": (lambda text: extracted(f"{HEAD}<p>{text}"), TEXTS),
    "extract attribute": (lambda text: extracted(f"{HEAD}<p title='{text}'>"), {"letters": "a", "none": "none; "}),
    "extract attributes": (lambda text: extracted(f"{HEAD}<p {text}>one"), {"attributes": "a%d=b "}),
    "improve": (lambda text: improve(page_of(text)), TEXTS),
    "sentences": (sentences, TEXTS),
    "is_whole": (is_whole, TEXTS),
    "tidied": (lambda text: tidied(text, Style("en", has_code=False)), TEXTS),
    "words_of": (words_of, TEXTS),
    "collapse": (collapse, TEXTS),
    "read_answer": (
        answered,
        {name: TEXTS[name] for name in ("sentences", "letters", "addresses", "hyphens", "references")},
    ),
    "split": (lambda text: split(page_of(text), 8000, 4000), TEXTS),
    "validate_map": (validated, TEXTS),
    "path pattern": (compile_pattern("".join(f"{{a{n}}}-" for n in range(25)) + "x").match, {"parts": "a-"}),
    "quote": (lambda text: quote(text) + printable(text), TEXTS),
}
#: A secret of one letter is found in part at each place of these.
SCRUBBED = ("x" * 11 + " ", "xxxxxx ", "%78" * 11 + " ", "eHh4eHh4 ", "x", "&amp;" * 3)
FUNCTIONS["scrub"] = (Secret("x" * 40).scrub, {shape: shape for shape in SCRUBBED})
CASES = [(name, shape) for name, (_, shapes) in FUNCTIONS.items() for shape in shapes]


def seconds(function: Callable[[str], object], text: str) -> float:
    gc.disable()  # a collection goes through all that the tests before this one have left
    try:
        began = time.process_time()
        function(text)
        return time.process_time() - began
    finally:
        gc.enable()


def growth(function: Callable[[str], object], unit: str, size: int, most: int) -> float:
    """Return by how much the time grows where the size doubles, twice; 0 if the time is too short to tell."""
    while size <= most:
        small, large = repeated(unit, size), repeated(unit, 4 * size)
        if seconds(function, large) > MEASURABLE:
            # The best of several: another process may slow down some of them. A bad ratio is measured again.
            ratios = []
            for tries in (1, 4, 8):
                first = min(seconds(function, small) for _ in range(tries))
                last = min(seconds(function, large) for _ in range(tries))
                ratios.append(math.sqrt(last / max(first, MEASURABLE / 16)))
                if ratios[-1] <= MOST:
                    break
            return min(ratios)
        size *= 4
    return 0.0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    # On pages of many elements, selectors are made in another way than on small ones.
    least = 80_000 if name in {"extract markup", "extract attributes"} else 4_000
    found = {shape: growth(function, unit, least, 4 * least) for shape, unit in shapes.items()}
    assert {shape: ratio for shape, ratio in found.items() if ratio > MOST} == {}


@pytest.mark.soak
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_time_grows_no_faster_than_a_long_text(name: str, shape: str) -> None:
    function, shapes = FUNCTIONS[name]
    assert growth(function, shapes[shape], 64_000, 1_000_000) <= MOST
