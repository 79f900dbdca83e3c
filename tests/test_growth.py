"""Twice the text takes about twice the time, in every pure function that takes texts of others."""

from __future__ import annotations

import gc
import importlib
import inspect
import math
import pkgutil
import re
import sys
import time
from types import FunctionType
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import UNSET

from nimbus_tasks import html
from nimbus_tasks.html.addresses import canonical_path, host_of
from nimbus_tasks.html.apply import apply_accepted, apply_changes
from nimbus_tasks.html.apply.accepted import find_accepted
from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.html.apply.file_addresses import PublicFile, address_files, restore_addresses
from nimbus_tasks.html.extract import Rules, extract
from nimbus_tasks.html.extract.noise import without_signs
from nimbus_tasks.html.extract.surroundings import digest_of
from nimbus_tasks.html.extract.text import collapse
from nimbus_tasks.html.redirects import page_redirect, read_redirects
from nimbus_tasks.html.render import to_html, to_markdown
from nimbus_tasks.html.rules import REDIRECTS_TO, compile_pattern, renamed
from nimbus_tasks.html.styles import Styles
from nimbus_tasks.html.styles.sheets import Window, read_declarations, read_sheet
from nimbus_tasks.html.styles.shorthands import parts_of
from nimbus_tasks.html.styles.style import compute, initial_style
from nimbus_tasks.html.styles.values import Units, length, number, substitute
from nimbus_tasks.html.validate import extraction_of, validate_map
from nimbus_tasks.model import lenient
from nimbus_tasks.model.changes import DESCRIPTION, TITLE, Change, Replaced
from nimbus_tasks.model.issues import printable, quote
from nimbus_tasks.model.page_map import Block, PageMap
from nimbus_tasks.model.records import PageRecord
from nimbus_tasks.processing import optimise
from nimbus_tasks.processing.optimise import Page
from nimbus_tasks.processing.optimise.openai.answers import BadAnswerError, read_answer
from nimbus_tasks.processing.optimise.openai.cache import answer_key
from nimbus_tasks.processing.optimise.openai.limits import seconds as seconds_in
from nimbus_tasks.processing.optimise.openai.prompt import Part, Text, as_quoted, messages, retry_messages, split
from nimbus_tasks.processing.optimise.rules import improve
from nimbus_tasks.processing.optimise.rules.description import is_whole, sentences
from nimbus_tasks.processing.optimise.rules.file_names import words_of
from nimbus_tasks.processing.optimise.rules.language import is_latin
from nimbus_tasks.processing.optimise.rules.spacing import Style, tidied
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

TAKES_TEXT = re.compile(r"\b(str|bytes|Page|PageMap|SourceTree|Block)\b")
#: They take one record that is decoded already, the words of one file name, and pages: what takes the time of
#: these is extraction, which is measured.
UNMEASURED = {
    "html.chrome.learn",
    "html.extract.explain.explain",
    "processing.optimise.attempt.page_of",
    "processing.optimise.rules.file_names.spelled",
}
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
    "links": "<a href='../b-%d.html'>a</a> ",
    "marks": "<p>a <b>b <i>c</i></b><br>",
    "texts around blocks": "<li>a<ul><li>b</ul>c",
    "cells of many rows": "<table><tr><td rowspan=9>a<td>b<tr><td>c</table>",
    "touching": "<span>ab</span><span>cd</span>",
    "data": "<script type='application/ld+json'>{}</script><i itemscope itemprop=a>a</i>",
    "files": "<img srcset='a-%d.png 1x, b.png 2x'><video><source src=a></video>",
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


def at_common_places(text: str) -> object:
    rules = Rules(chrome=(".x",), chrome_texts=frozenset({digest_of("We sell")}))
    return extract("dist/a.html", f"<!doctype html><p>word</p>{text}".encode(), rules)


def restored(text: str) -> object:
    replaced = [Replaced(f"https://cdn/{number}", "a.png") for number in range(len(text) // 20)]
    return restore_addresses(text.encode(), replaced)


def rendered(text: str) -> object:
    page = msgspec.json.decode(msgspec.json.encode(extracted(text)))
    return (to_html(page), to_markdown(page)) if "head" in page else page


def answered(text: str) -> object:
    part = Part("", "", (Text("block-0", "p", "a" * len(text)),))
    change = {"id": "block-0", "text": text, "reason": "A reason"}
    try:
        return read_answer(as_quoted({"changes": [change], "confidence": 1}), part)
    except BadAnswerError as error:
        return error


def validated(text: str) -> object:
    return validate_map("a.json", as_quoted({"path": text, "head": {"title": text}}).encode(), "proj_0")


def applied(text: str) -> object:
    """Apply to a paragraph a text that begins and ends in another way."""
    return applied_to(f"{HEAD}<p>{text}x")


def applied_to_all(text: str) -> object:
    """Apply a long text to all that can change in a page."""
    return applied_to(f"{HEAD}<meta name=description content='{text}'><h1>{text}</h1><img src=a.png alt='{text}'>")


def applied_to(source: str) -> object:
    page = extract("dist/a.html", source.encode(), Rules())
    assert isinstance(page, PageMap)
    changes = [
        Change(
            block.id, block.type, block.content, f"New {block.content[:-1]}", "", "h2" if block.type == "h1" else UNSET
        )
        for block in page.above_fold_blocks
    ]
    changes.append(Change(TITLE, "title", page.head["title"], source[-40:] + "new"))
    if description := page.head.get(DESCRIPTION):
        changes.append(Change(DESCRIPTION, "meta", description, f"{description} new"))
    made = apply_changes(source.encode(), page, changes)
    after = extract("dist/a.html", made.html, Rules())
    assert isinstance(after, PageMap)
    # A later build of the same page gets them again.
    return made, apply_accepted(source.encode(), after, find_accepted(page, after, (), changes).changes)


def valid(text: str) -> object:
    data = msgspec.json.encode(extracted(f"{HEAD}<p>{text}"))
    return validate_map("a.json", data, "proj_0"), extraction_of(data)


def pictured(text: str) -> object:
    """Describe an image by its file's name, in words that the page has too."""
    blocks = (Block("block-0", "p", text), Block("block-1", "img", "", {"src": f"{text[:2000]}.png"}))
    return improve(Page("page_0", "dist/a.html", {"title": "A page", "lang": "en"}, blocks))


def invalid(text: str) -> object:
    return validate_map("a.json", f'{{"path": "{text}", "path": 01}}'.encode(), "proj_0")


def asked(text: str) -> object:
    part = Part("", "", (Text("block-0", "p", text),))
    answer_key("a-model", text, part)
    return retry_messages(messages(part, text), text)


def styled(text: str) -> object:
    return read_sheet(text, Window(1280, 800)), read_declarations(text), without_signs(text)


#: What moves things in a layout, and rules that ask for more than the path of an element.
LAYOUT = """<!doctype html><style>:root { --a: calc(1px + 2px) } p { margin: var(--a) 0 } .f { float: left; width: 9% }
.x { display: flex; flex-wrap: wrap } .g { display: grid; grid-template-columns: 1fr 20px repeat(auto-fill, auto) }
.i { display: inline-block } .a { position: absolute; top: 1px } p + p { clear: left } b:first-child { margin: 1px }
i[title] ~ i { font: bold 9px/2 serif } .x > p { flex: 1 1 auto }</style>"""


def laid_out(text: str) -> object:
    return extract("a.html", (LAYOUT + text).encode(), Rules(fold=200_000), Styles(lambda _: None))


def measured(text: str) -> object:
    units = Units(16.0, 16.0, Window(1280, 800))
    declared = {"width": text, "grid-template-columns": text, "--a": text, "height": "var(--a)"}
    compute(declared, initial_style(), units.window)
    return length(text, units), number(text), parts_of(text), substitute(f"calc({text})", {"--a": text})


def differing(text: str) -> object:
    lines = text.replace(" ", "\n")
    return diff("a.html", lines.encode(), f"new\n{lines[: len(lines) // 2]}{lines[1 + len(lines) // 2 :]}".encode())


def read_foreign(text: str) -> object:
    record = as_quoted({"metadata": {"title": text, "other": [text]}, "blocks": [{"id": text}, text]})
    try:
        read = lenient.read(record.encode(), PageRecord)
        return lenient.rewrite(record.encode(), read.record)
    except lenient.MisfitError as error:
        return error


def redirected(text: str) -> None:
    list(read_redirects(text, "site.example"))
    page_redirect("/a", REDIRECTS_TO + text, "site.example")
    canonical_path(f"https://site.example/{text}", host_of(f"//site.example/{text}"))
    renamed(f"dist/{text}", "dist", "build")


FUNCTIONS: dict[str, tuple[Callable[[str], object], dict[str, str]]] = {
    "extract markup": (lambda text: extracted(HEAD + text), PAGES),
    "extract text": (lambda text: extracted(f"{HEAD}<p>{text}"), TEXTS),
    "extract attribute": (lambda text: extracted(f"{HEAD}<p title='{text}'>"), {"letters": "a", "none": "none; "}),
    "extract attributes": (lambda text: extracted(f"{HEAD}<p {text}>one"), {"attributes": "a%d=b "}),
    "render": (lambda text: rendered(HEAD + text), PAGES),
    "render text": (lambda text: rendered(f"{HEAD}<p>{text}<b>a</b>"), TEXTS),
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
    "apply": (applied, TEXTS),
    "apply to head and attributes": (
        applied_to_all,
        {name: TEXTS[name] for name in ("sentences", "letters", "references")},
    ),
    "redirects": (
        redirected,
        {"lines": "/a /b 301\n", "stars": "/*/", "colons": "/:a", "dots": "/..", "signs": "#?", "spaces": " /a "},
    ),
    "addresses of files": (
        lambda text: address_files(text.encode(), "a.html", "", lambda _: PublicFile("https://cdn/x", 1, 1)),
        {
            "images": "<img src=a.png>",
            "srcset": "<img srcset='a 1x, b 2x'>",
            "attributes": "<img src=a ",
            "bases": "<base href=x><link rel=canonical>",
        },
    ),
    "style sheet": (
        styled,
        {
            "rules": "a:not(:hover) .b{display:none}",
            "selectors": "a b>c,",
            "media": "@media (min-width: 5px) and (max-width: 9px){a{display:none}",
            "declarations": "a:b;",
            "brackets": "(",
            "strings": "'",
        },
    ),
    "layout": (
        laid_out,
        {
            "floats": "<b class=f>a</b> b c",
            "rows": "<div class=x><p>a<p>b</div>",
            "rows in rows": "<div class=x>" * 40 + "<p>a" + "</div>" * 40,
            "items of one row": "<div class=x><i>a</i>",
            "grids": "<div class=g><p>a<p>b</div>",
            "grids in grids": "<div class=g>" * 40 + "<p>a" + "</div>" * 40,
            "in lines": "<b class=i>a<i class=i>b</i></b>",
            "out of the flow": "<div class=a><p>a</div>",
            "tables": PAGES["tables"],
            "long rows": "<td colspan=9>a",
            "images": "<img width=5 height=5>",
            "siblings": "<i title=%d>a</i>",
            "styles": "<p style='width: %dpx'>a",
            "texts": "word ",
        },
    ),
    "common places": (
        at_common_places,
        {
            "bars": "<div class=x>We sell</div>",
            "others": "<div class=x>a <b>b</b></div>",
            "lists of links": "<ul class=x><li><a href=a><i>b</i></a></ul>",
            "one in another": "<div class=x>" * 20 + "a" + "</div>" * 20,
        },
    ),
    "restored": (restored, {"there": "src='https://cdn/1' ", "not there": "src='https://other/1' "}),
    "values": (
        measured,
        {"sums": "1px + ", "brackets": "(", "calls": "calc(", "digits": "9", "variables": "var(--a)", "parts": "1px "},
    ),
    "valid map": (valid, TEXTS),
    "image names": (pictured, {"hyphens": "word-", "spaces": "word "}),
    "invalid map": (invalid, TEXTS),
    "messages": (asked, {"sentences": TEXTS["sentences"]}),
    "seconds": (seconds_in, {"digits": "1", "steps": "1m"}),
    "is_latin": (is_latin, {"letters": "é", "others": "ж"}),
    "diff": (differing, {**TEXTS, "lines": "a b c d e f g h i j k l m n o p q r s t u v w x y z "}),
    "foreign record": (read_foreign, TEXTS),
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
    """Return by how much the time grows where the size doubles, twice; 0 if the time is too short to tell.

    A bad ratio counts where it is bad at four times the size too: before, caches and the allocator may have made it.
    """
    ratio = 0.0
    while size <= most:
        small, large = repeated(unit, size), repeated(unit, 4 * size)
        if seconds(function, large) > MEASURABLE:
            ratio = _ratio(function, small, large)
            if ratio <= MOST:
                break
        size *= 4
    return ratio


def _ratio(function: Callable[[str], object], small: str, large: str) -> float:
    """Return the best of several: another process may slow down some of them. A bad ratio is measured again."""
    ratios = []
    for tries in (1, 4, 8, 12):
        pairs = [(seconds(function, small), seconds(function, large)) for _ in range(tries)]
        first, last = (min(times) for times in zip(*pairs, strict=True))
        ratios.append(math.sqrt(last / max(first, MEASURABLE / 16)))
        if ratios[-1] <= MOST:
            break
    return min(ratios)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    # On pages of many elements, selectors are made in another way than on small ones.
    least = 80_000 if name in {"extract markup", "extract attributes"} else 4_000
    if len(shapes) > 6:  # `make soak` has all of them
        shapes = dict(list(shapes.items())[:: 3 if name in {"extract markup", "apply", "layout"} else 2])
    found = {shape: growth(function, unit, least, 4 * least) for shape, unit in shapes.items()}
    assert {shape: ratio for shape, ratio in found.items() if ratio > MOST} == {}


@pytest.mark.soak
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_time_grows_no_faster_than_a_long_text(name: str, shape: str) -> None:
    function, shapes = FUNCTIONS[name]
    assert growth(function, shapes[shape], 64_000, 1_000_000) <= MOST


def test_every_pure_function_that_takes_texts_is_measured() -> None:
    reached: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            reached.add(frame.f_code)

    sys.setprofile(note)
    try:
        for function, shapes in FUNCTIONS.values():
            for unit in shapes.values():
                function(repeated(unit, 2_000))
    finally:
        sys.setprofile(None)
    missed = {
        f"{function.__module__}.{function.__qualname__}" for function in takers() if function.__code__ not in reached
    }
    assert {name.removeprefix("nimbus_tasks.") for name in missed} == UNMEASURED


def takers() -> Iterator[FunctionType]:
    """Yield the public functions of the pure rooms that take texts, bytes or pages."""
    for room in (html, optimise):
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                ours = isinstance(value, FunctionType) and value.__module__ == found.name and not name.startswith("_")
                if ours and TAKES_TEXT.search(str(inspect.signature(value)).partition("->")[0]):
                    yield value
