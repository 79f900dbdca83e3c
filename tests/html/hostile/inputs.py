"""More than a hundred things that no site generator should write, and what must be said of each.

Each is made in a project folder beside five good pages. `outcome` says where its reason must be found:

- "invalid": an error in `reports/validation.json` under `reported` (a map file)
- "skipped": an entry in `reports/summary.json` under `reported` (a source path), with that result
- "failed": the same; the page may well be there, so its record is left alone
- "stored": odd, but a page all the same: it is stored (a source path)

`says` is a part of the reason. Run `python tests/html/hostile/inputs.py FOLDER` to look at them.
"""

from __future__ import annotations

import copy
import functools
import gzip
import json
import os
import random
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = "dist"
MAPS = ".nimbus/maps/by-hand"

GOOD_PAGES = [f"{SOURCE}/good-{number}.html" for number in range(5)]

Outcome = Literal["invalid", "skipped", "failed", "stored"]


class Hostile(NamedTuple):
    name: str
    make: Callable[[], None]
    outcome: Outcome
    reported: str
    says: str = ""


def all_inputs() -> list[Hostile]:
    """Return every hostile input; `make` writes it below the working directory."""
    return [*_maps(), *_odd_map_files(), *_pages(), *_odd_page_files()]


def make_all(inputs: list[Hostile]) -> None:
    for folder in (SOURCE, MAPS):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(GOOD_PAGES):
        Path(path).write_text(_html(f"<h1>Good page {number}</h1><p>It must arrive, whatever lies beside it.</p>"))
    for hostile in inputs:
        hostile.make()


# --- map files ----------------------------------------------------------------------------------------


def good_map(path: str) -> dict[str, Any]:
    return {
        "path": path,
        "engine": "html",
        "main_selector": "main",
        "head": {"title": "A page", "metaDescription": "Made by another tool."},
        "dimensions": {},
        "above_fold_blocks": [{"id": "block-0", "type": "h1", "content": "A page"}],
        "rest_of_page_blocks": [{"id": "block-1", "type": "p", "content": "Text", "attributes": {"class": "x"}}],
        "selector_map": {"block-0": "h1", "block-1": "p"},
    }


_NO_JSON = {
    "empty": (b"", "the file is empty"),
    "white space": (b" \n\t\n ", "the file is empty"),
    "brace": (b"{", "not valid JSON (line 1, column 2)"),
    "cut off": (json.dumps(good_map("x"), indent=2).encode()[:-40], "not valid JSON (line "),
    "comma": (b'{"path": "x",\n}', "not valid JSON (line 2, column 1)"),
    "colon": (b'{\n "path": "x",\n "head" {}}', "not valid JSON (line 3, column 9)"),
    "comment": (b'{"path": "x" // why not\n}', "not valid JSON (line 1, column 14)"),
    "single quotes": (b"{'path': 'x'}", "not valid JSON (line 1, column 2)"),
    "bare name": (b'{path: "x"}', "not valid JSON (line 1, column 2)"),
    "two documents": (b'{"path": "x"}\n{"path": "y"}', "not valid JSON (line 2, column 1)"),
    "merge conflict": (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n", "not valid JSON (line 1, column 1)"),
    "html": (b"<!doctype html><title>404</title>", "not valid JSON (line 1, column 1)"),
    "undefined": (b'{"path": undefined}', "not valid JSON (line 1, column 10)"),
    "leading zero": (b'{"path": 01}', "not valid JSON (line 1, column "),
    "raw line break in text": (b'{"path": "a\nb"}', "not valid JSON (line 1, column 12)"),
    "raw nul in text": (b'{"path": "a\0b"}', "not valid JSON (line 1, column 12)"),
    "bad escape": (b'{"path": "a\\x41"}', "not valid JSON (line 1, column "),
    "half an escape": (b'{"path": "\\u12', "not valid JSON (line 1, column "),
    "nul bytes": (b"\0" * 4096, "nothing but zeros"),
    "random bytes": (random.Random(1).randbytes(4096), "not valid "),
    "gzip": (gzip.compress(b'{"path": "x"}', mtime=0), "not valid UTF-8 (line 1, column 2)"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(good_map("bom.html")).encode(), "byte order mark"),
    "utf-16": (json.dumps(good_map("utf16.html")).encode("utf-16"), "UTF-16"),
    "utf-16 without mark": (json.dumps(good_map("utf16.html")).encode("utf-16-be"), "UTF-16"),
    "utf-32": (json.dumps(good_map("utf32.html")).encode("utf-32-le"), "UTF-32"),
    "latin-1": (json.dumps(good_map("caf\xe9.html"), ensure_ascii=False).encode("latin-1"), "not valid UTF-8"),
    "overlong utf-8": (b'{"path": "\xc0\xaf"}', "not valid UTF-8 (line 1, column 11)"),
    "surrogate as bytes": (b'{"path": "\xed\xa0\x80"}', "not valid UTF-8"),
    "deep arrays": (b"[" * 100_000, "nested deeper"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
    "NaN": (b'{"path": "x", "dimensions": {"n": NaN}}', "dimensions.n is not a number"),
    "Infinity": (b'{"path": "x", "dimensions": {"n": -Infinity}}', "dimensions.n is not a number"),
    "number out of range": (b'{"path": "x", "dimensions": {"n": 1e999}}', "dimensions.n is not a number"),
    "number of 5,000 digits": (b'{"n": ' + b"7" * 5000 + b"}", "n is not a number"),
    "lone surrogate in text": (json.dumps(good_map("x\ud800.html")).encode(), "path holds a lone surrogate"),
    "lone surrogate in name": (b'{"\\udc00": 1}', "half of a character"),
    "array": (b"[]", "one JSON object, not an array"),
    "string": (b'"dist/a.html"', "one JSON object, not a string"),
    "number": (b"42", "one JSON object, not a number"),
    "null": (b"null", "one JSON object, not null"),
    "false": (b"false", "one JSON object, not true or false"),
    "empty object": (b"{}", "path is missing"),
}

_LEFT_OUT: Any = object()

#: What one value of a good map is replaced with.
_WRONG_VALUES: list[tuple[tuple[str | int, ...], Any, str]] = [
    *[((field,), _LEFT_OUT, f"{field} is missing") for field in good_map("") if field != "path"],
    *[((field,), None, f"{field} must be ") for field in good_map("")],
    *[((field,), 7, f"{field} must be ") for field in good_map("")],
    (("engine",), "", "engine is empty"),
    (("main_selector",), "  ", "main_selector is empty"),
    (("head",), "title", "head must be an object"),
    (("head",), {}, "head.title is missing"),
    (("head", "title"), "", "head.title is empty"),
    (("head", "title"), ["A"], "head.title must be a string"),
    (("head", "metaDescription"), None, "head.metaDescription must be a string"),
    (("head", "og:image"), {"url": "x"}, 'head["og:image"] must be a string'),
    (("dimensions",), [], "dimensions must be an object"),
    (("above_fold_blocks",), {"0": {}}, "above_fold_blocks must be an array"),
    (("rest_of_page_blocks", 0), None, "must be a block"),
    (("rest_of_page_blocks", 0), "text", "must be a block"),
    (("rest_of_page_blocks", 0), {}, "rest_of_page_blocks[0].id is missing"),
    (("rest_of_page_blocks", 0, "id"), 1, "rest_of_page_blocks[0].id must be a string"),
    (("rest_of_page_blocks", 0, "id"), "", "rest_of_page_blocks[0].id is empty"),
    (("rest_of_page_blocks", 0, "id"), "block-0", "as is the id of above_fold_blocks[0]"),
    (("rest_of_page_blocks", 0, "type"), None, "rest_of_page_blocks[0].type must be a string"),
    (("rest_of_page_blocks", 0, "content"), ["a"], "rest_of_page_blocks[0].content must be a string"),
    (("rest_of_page_blocks", 0, "attributes"), None, "rest_of_page_blocks[0].attributes must be an object"),
    (("rest_of_page_blocks", 0, "attributes", "class"), 3, "attributes.class must be a string"),
    (("rest_of_page_blocks", 0, "optimized_content"), None, "optimized_content must be a string"),
    (("selector_map",), ["h1", "p"], "selector_map must be an object"),
    (("selector_map", "block-1"), _LEFT_OUT, 'selector_map["block-1"] is missing'),
    (("selector_map", "block-1"), "", 'selector_map["block-1"] is empty'),
    (("selector_map", "block-1"), 7, 'selector_map["block-1"] must be a string'),
    (("selector_map", "block-1"), "h1", 'is the selector of "block-0" too'),
    (("unknown",), json.loads("[" * 250 + "]" * 250), "nested deeper"),
    (("above_fold_blocks", 0, "content"), "x" * 30_000_000, "KV takes 26,214,400"),
    (("path",), _LEFT_OUT, "path is missing"),
    (("path",), "", "path is empty"),
    (("path",), "../outside.html", "leaves its folder with .."),
    (("path",), "dist/../../outside.html", "leaves its folder with .."),
    (("path",), "..", "leaves its folder with .."),
    (("path",), "/etc/passwd", "is absolute"),
    (("path",), "//server/share/a.html", "is absolute"),
    (("path",), "C:/site/a.html", "is absolute"),
    (("path",), "c:a.html", "is absolute"),
    (("path",), "dist\\a.html", "contains a backslash"),
    (("path",), "..\\..\\a.html", "contains a backslash"),
    (("path",), "./dist/a.html", "contains a . folder"),
    (("path",), "dist//a.html", "contains an empty folder name"),
    (("path",), "dist/", "contains an empty folder name"),
    (("path",), "dist/a\0.html", "control character"),
    (("path",), "dist/a\n.html", "control character"),
    (("path",), "dist/\x1b[31ma.html", "control character"),
    (("path",), "dist/a\x85.html", "control character"),
]


def _maps() -> Iterator[Hostile]:
    for name, (data, says) in _NO_JSON.items():
        file = f"{MAPS}/no-json-{name.replace(' ', '-')}.json"
        yield Hostile(f"map: {name}", _writer(file, data), "invalid", file, says)
    for number, (where, value, says) in enumerate(_WRONG_VALUES):
        file = f"{MAPS}/wrong-{number:02}.json"
        data = json.dumps(_replaced(good_map(f"by-hand/{number}.html"), where, value)).encode()
        said = "left out" if value is _LEFT_OUT else repr(value)[:30]
        yield Hostile(f"map: {'.'.join(map(str, where))} {said}", _writer(file, data), "invalid", file, says)
    twice = json.dumps(good_map("by-hand/twice.html")).replace('"engine":', '"engine": "x", "engine":')
    file = f"{MAPS}/member-twice.json"
    yield Hostile("map: a member twice", _writer(file, twice.encode()), "invalid", file, "engine is written more than")
    for mine, other in (("a", "b"), ("b", "a")):
        file = f"{MAPS}/same-{mine}.json"
        data = json.dumps(good_map("by-hand/same.html")).encode()
        says = f"{MAPS}/same-{other}.json describe the same page, by-hand/same.html"
        yield Hostile(f"map: one path twice, {mine}", _writer(file, data), "invalid", file, says)


def _odd_map_files() -> Iterator[Hostile]:
    def odd(name: str, make: Callable[[Path], None], says: str) -> Hostile:
        file = f"{MAPS}/odd-{name.replace(' ', '-')}.json"
        return Hostile(f"map file: {name}", lambda: make(Path(file)), "invalid", file, says)

    yield odd("folder", Path.mkdir, "a folder")
    yield odd("dangling link", lambda path: path.symlink_to("nowhere.json"), "a link to nothing")
    yield odd("link to itself", lambda path: path.symlink_to(path.name), "circle")
    yield odd("link to a folder", lambda path: path.symlink_to("/tmp"), "a link")
    yield odd("link out of the project", lambda path: path.symlink_to("/etc/hostname"), "a link")
    yield odd("pipe", os.mkfifo, "not a plain file")
    yield odd("socket", _socket, "not a plain file")
    odd_name = os.fsencode(MAPS) + b"/odd-\xff\xfe.json"
    file = f"{MAPS}/odd-\\udcff\\udcfe.json"
    yield Hostile("map file: name not UTF-8", _writer(odd_name, b"{}"), "invalid", file, "UTF-8")
    for name, file in (("line break", "odd-line\nbreak.json"), ("quotes", "odd-'\"$(touch x)`.json")):
        path = f"{MAPS}/{file}"
        yield Hostile(f"map file: name with {name}", _writer(path, b"{}"), "invalid", path, "path is missing")
    if not _reads_everything():
        yield odd("not readable", lambda path: path.touch(mode=0), "cannot be read")


# --- source pages -------------------------------------------------------------------------------------


def _html(body: str, head: str = "<title>A page</title>", charset: str = "utf-8") -> str:
    head = f'<meta charset="{charset}">{head}'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


_TEXT = "<h1>Heading</h1><p>Some text that a visitor can read.</p>"

_NO_PAGES = {
    "empty": (b"", "empty"),
    "white space": (b" \n" * 5000, "empty"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "PNG"),
    "gzip": (gzip.compress(_html(_TEXT).encode(), mtime=0), "gzip"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "PDF"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"\0" * 100, "JPEG"),
    "zip": (b"PK\x03\x04" + b"\0" * 100, "ZIP"),
    "json": (b'{"path": "x"}', "JSON"),
    "rss": (b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title></channel></rss>', "XML"),
    "nul bytes": (b"\0" * 4096, "binary"),
    "frames": (b"<html><head><title>x</title></head><frameset><frame src=a></frameset></html>", "frames"),
    "redirect": (
        _html("", '<title>x</title><meta http-equiv="refresh" content="0;url=b.html">').encode(),
        "redirects",
    ),
    "redirect to itself": (
        _html(
            "<p>Moved.</p>",
            '<title>x</title><meta http-equiv=refresh content="0; URL=redirect-to-itself.html">',
        ).encode(),
        "redirects",
    ),
    "noindex": (_html(_TEXT, '<title>x</title><meta name="robots" content="noindex">').encode(), "noindex"),
    "too deep": (b"<title>x</title>" + b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000, "deep"),
    "ten thousand bodies": (b"<title>x</title><p>x" + b"<body class=a>" * 10_000, "<body>"),
    "70 MB": (b"<title>x</title><p>" + b"many words " * 6_400_000, "larger than"),
}

_PAGES_WITH_FAULTS = {
    "no title": (b"<!doctype html><p>Text</p>", "head.title is missing"),
    "empty title": (_html(_TEXT, "<title> </title>").encode(), "head.title is "),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><text>x</text></svg>', "head.title is missing"),
    "title in the body's svg": (
        b"<!doctype html><p>Text<svg><title>icon</title></svg></p>",
        "head.title is missing",
    ),
    "30 MB": (b"<title>x</title><p>" + b"many words " * 2_800_000, "KV takes 26,214,400"),
}

_ODD_PAGES = {
    "script only": _html("<script>document.write('hello')</script><noscript>No scripts</noscript>").encode(),
    "hidden only": _html('<p hidden>x</p><div style="display:none">y</div>').encode(),
    "comment never closed": b"<!doctype html><title>x</title><!-- <p>all of it",
    "nothing closed": b"<title>x</title><div><p>one<p>two<li>three<b>four<table><tr><td>five<a href=x>six",
    "misnested": b"<title>x</title><p><b><i>one</b>two</i><table><p>three</table></div></p></html>more",
    "plain text": b"Only text, and a <title>title</title> somewhere",
    "nul bytes within": b"<title>x\0y</title><p>one\0two</p>",
    "latin-1 without charset": "<title>Caf\xe9</title><p>Tr\xe8s bon</p>".encode("latin-1"),
    "utf-8 called latin-1": "<meta charset=latin1><title>Caf\xe9</title><p>Tr\xe8s bon</p>".encode(),
    "unknown charset": b"<meta charset=klingon-8><title>x</title><p>one</p>",
    "bytes in two encodings": b"<title>x</title><p>caf\xe9 caf\xc3\xa9</p>",
    "utf-16 with mark": _html(_TEXT).encode("utf-16"),
    "utf-8 with mark": b"\xef\xbb\xbf" + _html(_TEXT).encode(),
    "surrogate in a reference": b"<title>x&#xD800;y</title><p>one&#xDFFF;&#x110000;&#0;</p>",
    "many attributes": b"<title>x</title><p " + b" ".join(b"a%d=b" % n for n in range(20_000)) + b">one</p>",
    "many siblings": b"<title>x</title>" + b"<p>one" * 20_000,
    "ids that need escaping": b"""<title>x</title><p id='1:a.b#c\\ "'>one<p id="">two<p id="\n">three""",
    "the same id everywhere": b"<title>x</title>" + b"<p id=a>one</p>" * 500,
    "refresh in noscript": _html(
        _TEXT, "<title>x</title><noscript><meta http-equiv=refresh content=0;url=b></noscript>"
    ).encode(),
    "json in a script": _html(_TEXT + '<script type="application/ld+json">{"a": </script>').encode(),
    "carriage returns": _html(_TEXT).replace("><", ">\r\n<").encode(),
    "terminal codes": b"<title>\x1b]0;owned\x07x</title><p>\x1b[2Jone</p>",
    "right to left": "<title>\u202ex</title><p>\u05e9\u05dc\u05d5\u05dd \u202e one</p>".encode(),
    "html in the title": b"<title><script>alert(1)</script></title><p>one</p>",
    "a selector bomb": b"<title>x</title>" + b"<div class='a b c d e'>" * 200 + b"one" + b"</div>" * 200,
}


def _pages() -> Iterator[Hostile]:
    for name, (data, says) in _NO_PAGES.items():
        path = f"{SOURCE}/no-page/{name.replace(' ', '-')}.html"
        yield Hostile(f"page: {name}", _writer(path, data), "skipped", path, says)
    for name, (data, says) in _PAGES_WITH_FAULTS.items():
        path = f"{SOURCE}/faulty/{name.replace(' ', '-')}.html"
        file = f".nimbus/maps/{path}.json"
        yield Hostile(f"page: {name}", _writer(path, data), "invalid", file, says)
    for name, data in _ODD_PAGES.items():
        path = f"{SOURCE}/odd/{name.replace(' ', '-')}.html"
        yield Hostile(f"page: {name}", _writer(path, data), "stored", path)


def _odd_page_files() -> Iterator[Hostile]:
    page = _html(_TEXT).encode()

    def odd(name: str, make: Callable[[Path], None], says: str) -> Hostile:
        path = f"{SOURCE}/files/{name.replace(' ', '-')}.html"
        return Hostile(f"page file: {name}", lambda: _made(make, Path(path)), "skipped", path, says)

    yield odd("folder", Path.mkdir, "a folder")
    yield odd("dangling link", lambda path: path.symlink_to("nowhere.html"), "a link to nothing")
    yield odd("link to itself", lambda path: path.symlink_to(path.name), "circle")
    yield odd("link to its folder", lambda path: path.symlink_to("."), "a link")
    yield odd("link out of the project", lambda path: path.symlink_to("/etc/hostname"), "a link")
    yield odd("link to a device", lambda path: path.symlink_to("/dev/zero"), "a link")
    yield odd("double of another page", lambda path: path.symlink_to("../good-0.html"), "a link to another file")
    yield odd("pipe", os.mkfifo, "not a plain file")
    yield odd("socket", _socket, "not a plain file")
    yield Hostile(
        "page file: name not UTF-8",
        _writer(os.fsencode(SOURCE) + b"/files/\xff\xfe.html", page),
        "skipped",
        f"{SOURCE}/files/\\udcff\\udcfe.html",
        "not UTF-8",
    )
    # A path is part of every report: a name that breaks lines is no page, one with quotes is.
    line_break = f"{SOURCE}/files/line\nbreak.html"
    yield Hostile(
        "page file: line break in the name",
        _writer(line_break, page),
        "invalid",
        f".nimbus/maps/{line_break}.json",
        "control character",
    )
    for name in (
        "quo'te\"s.html",
        "$(touch owned)`;&.html",
        "-rf.html",
        "%2e%2e.html",
        " .html",
        "\u202elmth.html",
    ):
        path = f"{SOURCE}/files/{name}"
        yield Hostile(f"page file: {name!r}", _writer(path, page), "stored", path)
    longest = f"{SOURCE}/files/{'long' * 62}!!.html"  # 255 bytes: `.json` does not fit behind it
    yield Hostile("page file: the longest name", _writer(longest, page), "stored", longest)
    wide = f"{SOURCE}/files/{'時' * 81}.html"  # 248 bytes in 86 characters
    yield Hostile("page file: a long name of wide characters", _writer(wide, page), "stored", wide)
    if not _reads_everything():
        path = f"{SOURCE}/files/not-readable.html"
        make = functools.partial(_made, lambda file: file.touch(mode=0), Path(path))
        yield Hostile("page file: not readable", make, "failed", path, "cannot be read")


# --- making them --------------------------------------------------------------------------------------


def _writer(path: str | bytes, data: bytes) -> Callable[[], None]:
    return lambda: _made(lambda file: file.write_bytes(data) and None, Path(os.fsdecode(path)))


def _made(make: Callable[[Path], None], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def _reads_everything() -> bool:
    """Tell whether no permission keeps this user (root, as a rule) from reading a file."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(0)
        return os.access(file.name, os.R_OK)


def _socket(path: Path) -> None:
    # A socket's address has at most 108 bytes, so it is bound by its name in its folder.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _replaced(document: dict[str, Any], where: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(document)
    holder: Any = document
    for part in where[:-1]:
        holder = holder[part]
    if value is _LEFT_OUT:
        del holder[where[-1]]
    else:
        holder[where[-1]] = value
    return document


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    make_all(all_inputs())
