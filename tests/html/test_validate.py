"""What `validate` promises: a verdict for any bytes, every fault at once, a digest of the content alone."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.html.validate import (
    Issue,
    Verdict,
    cross_check,
    extraction_of,
    rules,
    syntax,
    validate_map,
)
from nimbus_tasks.model import keys, records
from nimbus_tasks.model.issues import name, pointer
from nimbus_tasks.model.page_map import VOLATILE_FIELDS, content_digest

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = "proj_0123456789ab"
FILE = ".nimbus/maps/a.json"

GOOD: dict[str, Any] = {
    "path": "dist/a.html",
    "engine": "html",
    "main_selector": "main",
    "head": {"title": "Rolex repair", "metaDescription": "We repair watches.", "og:title": "Rolex"},
    "dimensions": {"brand": "rolex", "photos": 3},
    "above_fold_blocks": [{"id": "block-0", "type": "h1", "content": "Rolex repair"}],
    "rest_of_page_blocks": [
        {"id": "block-1", "type": "p", "content": "By hand.", "attributes": {"class": "lead"}},
        {"id": "block-2", "type": "img", "content": "", "optimized_content": "A watch"},
    ],
    "selector_map": {"block-0": "h1", "block-1": "main > p", "block-2": "img"},
}


def judge(document: object, project_id: str = PROJECT) -> Verdict:
    return validate_map(FILE, json.dumps(document).encode(), project_id)


def changed(*where: str | int, to: object = ...) -> dict[str, Any]:
    """Return the good map with one value set, or left out."""
    document = copy.deepcopy(GOOD)
    holder: Any = document
    for part in where[:-1]:
        holder = holder[part]
    if to is ...:
        del holder[where[-1]]
    else:
        holder[where[-1]] = to
    return document


def said(verdict: Verdict) -> list[tuple[str, str]]:
    return [(issue.pointer, issue.message) for issue in verdict.issues]


# --- a good page --------------------------------------------------------------------------------------


def test_a_good_page_has_its_ids_its_digest_and_no_issues() -> None:
    verdict = judge(GOOD)
    assert verdict == Verdict(
        file=FILE,
        source_path="dist/a.html",
        page_id=keys.page_id(PROJECT, "dist/a.html"),
        digest=content_digest(GOOD),
        size=verdict.size,
        issues=(),
    )
    assert verdict.valid


def test_size_is_an_upper_bound_of_the_page_record() -> None:
    data = json.dumps(GOOD).encode()
    record = records.PageRecord(
        page_id="page_0123456789ab",
        project_id=PROJECT,
        batch_id="batch_20240902_134500",
        source_path="dist/a.html",
        uploaded="2026-11-21T03:15:35.120Z",
        extraction=extraction_of(data),
    )
    verdict = validate_map(FILE, data, PROJECT)
    assert len(msgspec.json.encode(record)) <= verdict.size <= len(data) + 2048


def test_metadata_is_far_from_its_limit_whatever_the_page() -> None:
    metadata = records.PageMetadata("batch_20240902_134500", "2026-11-21T03:15:35.120Z", "0" * 32)
    assert len(msgspec.json.encode(metadata)) < 256


def test_issues_and_verdicts_go_into_a_json_report() -> None:
    issue = judge(changed("head", "title")).issues[0]
    assert json.loads(msgspec.json.encode(issue)) == {
        "file": FILE,
        "pointer": "/head/title",
        "message": "head.title is missing: add a <title> to dist/a.html",
        "severity": "error",
        "line": 0,
        "column": 0,
    }


# --- bytes that are no document -----------------------------------------------------------------------


UNREADABLE = [
    (b'{\n  "path": "x",\n  "engine" "html"\n}', "not valid JSON (line 3, column 12)", (3, 12)),
    ('{"ä": 1,\n"ü" 2}'.encode(), "not valid JSON (line 2, column 5)", (2, 5)),
    (b'{"path": "dist/a.html"', "not valid JSON (line 1, column 23)", (1, 23)),
    (b'{"a": "x\x00"}', "not valid JSON (line 1, column 9)", (1, 9)),
    (b"{} {}", "not valid JSON (line 1, column 4)", (1, 4)),
    (b'{\n"a": "\xff"}', "not valid UTF-8 (line 2, column 7): save the file as UTF-8", (2, 7)),
    (b"", "the file is empty: write the map again, or delete it", (0, 0)),
    (b" \n ", "the file is empty: write the map again, or delete it", (0, 0)),
    (
        b"\xef\xbb\xbf{}",
        "the file starts with a byte order mark: save it as UTF-8 without a byte order mark",
        (0, 0),
    ),
    ("{}".encode("utf-16"), "the file is UTF-16 or UTF-32: save it as UTF-8 without a byte order mark", (0, 0)),
    (
        "{}".encode("utf-16-be"),
        "the file is UTF-16 or UTF-32: save it as UTF-8 without a byte order mark",
        (0, 0),
    ),
    (
        "{}".encode("utf-32-le"),
        "the file is UTF-16 or UTF-32: save it as UTF-8 without a byte order mark",
        (0, 0),
    ),
]
TOO_DEEP = "nested deeper than 200 levels: a page map needs four, so fix what writes it"


@pytest.mark.parametrize(("data", "message", "position"), UNREADABLE)
def test_unreadable_bytes_give_one_issue_that_says_where(data: bytes, message: str, position: tuple[int, int]) -> None:
    verdict = validate_map(FILE, data, PROJECT)
    assert verdict.issues == (Issue(FILE, "", message, "error", *position),)
    assert (verdict.source_path, verdict.page_id, verdict.digest, verdict.valid) == ("", "", "", False)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 201 + b"]" * 201,
        b"[NaN, " + b"[" * 100_000,  # refused for another reason first; then the second reader runs too deep
        json.dumps({**GOOD, "x": json.loads("[" * 300 + "]" * 300)}).encode(),
    ],
)
def test_deep_nesting_is_refused_at_one_depth_whatever_stack_is_left(data: bytes) -> None:
    assert said(validate_map(FILE, data, PROJECT)) == [("", TOO_DEEP)]


def test_nesting_below_the_limit_is_fine_and_so_are_many_brackets() -> None:
    assert judge({**GOOD, "x": json.loads("[" * 198 + "]" * 198)}).valid
    assert judge({**GOOD, "x": [[] for _ in range(1000)], "y": [[{}] * 300]}).valid


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 4301])
def test_numbers_that_json_cannot_hold_are_named_with_their_place(number: str) -> None:
    data = json.dumps(changed("dimensions", "photos", to="?")).replace('"?"', number).encode()
    message = "dimensions.photos is not a number that JSON can hold: leave it out"
    assert said(validate_map(FILE, data, PROJECT)) == [("/dimensions/photos", message)]


def test_huge_integers_are_numbers_like_any_other() -> None:
    data = json.dumps(changed("dimensions", "photos", to="?")).replace('"?"', "9" * 400).encode()
    assert validate_map(FILE, data, PROJECT).valid


def test_lone_surrogates_are_named_wherever_they_are() -> None:
    document = {"head": {"ti\udc00tle": 1, "fine": "\U0001f600"}, "list": ["a", "b\ud800"]}
    half = "holds a lone surrogate, half of a character: write the whole character as UTF-8"
    assert said(judge(document)) == [
        ("/head/ti\\udc00tle", f'the name of head["ti\\udc00tle"] {half}'),
        ("/list/1", f"list[1] {half}"),
    ]


def test_what_only_the_first_reader_refuses_still_gives_an_issue() -> None:
    """No such bytes are known; should a new msgspec find some, they are an issue, not a page."""
    assert syntax.reasons(b"{}", ValueError("new rule"))[0].message == "not valid JSON: new rule"


def test_members_written_twice_are_named() -> None:
    data = json.dumps(GOOD).replace('"engine": "html"', '"engine": "x", "engine": "html"')
    data = data.replace('"class": "lead"', '"class": "lead", "class": "lead", "class": "lead"')
    assert said(validate_map(FILE, data.encode(), PROJECT)) == [
        ("/engine", "engine is written more than once: keep one of them"),
        (
            "/rest_of_page_blocks/0/attributes/class",
            "rest_of_page_blocks[0].attributes.class is written more than once: keep one of them",
        ),
    ]


def test_a_quote_written_as_a_number_is_no_member_written_twice() -> None:
    data = json.dumps(GOOD).replace("By hand.", r"\u0022By hand\"").encode()
    assert validate_map(FILE, data, PROJECT).issues == ()


# --- the rules ----------------------------------------------------------------------------------------

A_PATH = "write the page's path from the project root, such as dist/about.html"
A_BLOCKS = "write an array of blocks, [] where there are none"
AN_ID = "write an id that no other block of the page has, such as block-7"

FAULTS: list[tuple[Any, str, str]] = [
    (changed("path"), "/path", f"path is missing: {A_PATH}"),
    (changed("path", to=3), "/path", f"path must be a string, not a number: {A_PATH}"),
    (changed("path", to=""), "/path", f"path is empty: {A_PATH}"),
    (changed("engine"), "/engine", 'engine is missing: write "html"'),
    (changed("engine", to=None), "/engine", 'engine must be a string, not null: write "html"'),
    (changed("engine", to=""), "/engine", 'engine is empty: write "html"'),
    (changed("engine", to=" "), "/engine", 'engine is empty: write "html"'),
    (
        changed("main_selector", to=" "),
        "/main_selector",
        "main_selector is empty: write the CSS selector of the main content, such as main",
    ),
    (
        changed("main_selector", to=True),
        "/main_selector",
        "main_selector must be a string, not true or false: write the CSS selector of the main content, such as main",
    ),
    (changed("head"), "/head", "head is missing: write an object with at least the page's title"),
    (
        changed("head", to=[]),
        "/head",
        "head must be an object, not an array: write an object with at least the page's title",
    ),
    (changed("head", "title"), "/head/title", "head.title is missing: add a <title> to dist/a.html"),
    (changed("head", "title", to=" "), "/head/title", "head.title is empty: add a <title> to dist/a.html"),
    (
        changed("head", "title", to=None),
        "/head/title",
        "head.title must be a string, not null: add a <title> to dist/a.html",
    ),
    (
        changed("head", "og:title", to=1.5),
        "/head/og:title",
        'head["og:title"] must be a string, not a number: write a string, or leave it out',
    ),
    (
        changed("dimensions", to="x"),
        "/dimensions",
        "dimensions must be an object, not a string: write an object, {} where nothing is known",
    ),
    (
        changed("above_fold_blocks", to={}),
        "/above_fold_blocks",
        f"above_fold_blocks must be an array, not an object: {A_BLOCKS}",
    ),
    (changed("rest_of_page_blocks"), "/rest_of_page_blocks", f"rest_of_page_blocks is missing: {A_BLOCKS}"),
    (
        changed("rest_of_page_blocks", 0, to=[]),
        "/rest_of_page_blocks/0",
        "rest_of_page_blocks[0] must be a block, so an object, not an array: fix it or leave it out",
    ),
    (
        changed("rest_of_page_blocks", 0, "id"),
        "/rest_of_page_blocks/0/id",
        f"rest_of_page_blocks[0].id is missing: {AN_ID}",
    ),
    (
        changed("rest_of_page_blocks", 0, "id", to=""),
        "/rest_of_page_blocks/0/id",
        f"rest_of_page_blocks[0].id is empty: {AN_ID}",
    ),
    (
        changed("rest_of_page_blocks", 0, "id", to="block-0"),
        "/rest_of_page_blocks/0/id",
        'rest_of_page_blocks[0].id is "block-0", as is the id of above_fold_blocks[0]: '
        "give each block of the page an id of its own",
    ),
    (
        changed("above_fold_blocks", 0, "type", to=""),
        "/above_fold_blocks/0/type",
        "above_fold_blocks[0].type is empty: write the element's tag, such as p",
    ),
    (
        changed("above_fold_blocks", 0, "content", to=None),
        "/above_fold_blocks/0/content",
        'above_fold_blocks[0].content must be a string, not null: write the element\'s text, "" where it has none',
    ),
    (
        changed("above_fold_blocks", 0, "attributes", to=None),
        "/above_fold_blocks/0/attributes",
        "above_fold_blocks[0].attributes must be an object, not null: write an object of strings, or leave it out",
    ),
    (
        changed("rest_of_page_blocks", 0, "attributes", "class", to=["a"]),
        "/rest_of_page_blocks/0/attributes/class",
        "rest_of_page_blocks[0].attributes.class must be a string, not an array: write a string, or leave it out",
    ),
    (
        changed("rest_of_page_blocks", 1, "optimized_content", to=None),
        "/rest_of_page_blocks/1/optimized_content",
        "rest_of_page_blocks[1].optimized_content must be a string, not null: write the new text, or leave it out",
    ),
    (
        changed("selector_map", to=None),
        "/selector_map",
        "selector_map must be an object, not null: write an object with a CSS selector for each block id",
    ),
    (
        changed("selector_map", "block-1"),
        "/selector_map/block-1",
        'selector_map["block-1"] is missing: write the CSS selector of block "block-1"',
    ),
    (
        changed("selector_map", "block-1", to=""),
        "/selector_map/block-1",
        'selector_map["block-1"] is empty: write the CSS selector of block "block-1"',
    ),
    (
        changed("selector_map", "block-1", to=7),
        "/selector_map/block-1",
        'selector_map["block-1"] must be a string, not a number: write the CSS selector of that block',
    ),
    (
        changed("selector_map", "block-1", to="h1"),
        "/selector_map/block-1",
        'selector_map["block-1"] is the selector of "block-0" too: write one that matches exactly one element',
    ),
    ([GOOD], "", "a map file holds one JSON object, not an array: write the map again"),
    (None, "", "a map file holds one JSON object, not null: write the map again"),
    ("x", "", "a map file holds one JSON object, not a string: write the map again"),
]


@pytest.mark.parametrize(("document", "pointed", "message"), FAULTS, ids=[f[2][:60] for f in FAULTS])
def test_a_fault_is_named_with_its_place_and_what_to_do(document: Any, pointed: str, message: str) -> None:
    verdict = judge(document)
    errors = [(issue.pointer, issue.message) for issue in verdict.issues if issue.severity == "error"]
    assert (pointed, message) in errors
    # A block that lost its id leaves its selector behind, and so on: those are other issues of the same page.
    assert {where for where, _ in errors} <= {pointed, "/selector_map/block-0", "/selector_map/block-1"}
    assert (verdict.valid, verdict.digest) == (False, "")


def test_all_faults_of_a_page_are_named_at_once() -> None:
    document = {"head": {"x": 1}, "above_fold_blocks": [{"id": 1, "content": None}, 7], "selector_map": []}
    assert [where for where, _ in said(judge(document))] == [
        "/path",
        "/engine",
        "/main_selector",
        "/dimensions",
        "/rest_of_page_blocks",
        "/selector_map",
        "/head/title",
        "/head/x",
        "/above_fold_blocks/0/id",
        "/above_fold_blocks/0/type",
        "/above_fold_blocks/0/content",
        "/above_fold_blocks/1",
    ]
    assert "head.title is missing: add a <title> to the page" in [message for _, message in said(judge(document))]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../x.html", "leaves its folder with ..: write it from the project root"),
        ("dist/../../x.html", "leaves its folder with ..: write it from the project root"),
        ("/etc/passwd", "is absolute: write it from the project root, such as dist/about.html"),
        ("C:/site/x.html", "is absolute: write it from the project root, such as dist/about.html"),
        ("c:x.html", "is absolute: write it from the project root, such as dist/about.html"),
        ("dist\\x.html", "contains a backslash: separate folders with /"),
        ("./x.html", "contains a . folder: leave it out"),
        ("dist//x.html", "contains an empty folder name: write one / between two names"),
        ("dist/", "contains an empty folder name: write one / between two names"),
    ],
)
def test_a_path_stays_in_the_project_and_has_one_form(path: str, fault: str) -> None:
    verdict = judge(changed("path", to=path))
    assert said(verdict) == [("/path", f'path "{path}" {fault}')]
    assert (verdict.source_path, verdict.page_id) == (path, "")


@pytest.mark.parametrize("control", ["\0", "\n", "\x1b", "\x7f", "\x85"])
def test_a_path_has_no_control_characters_and_the_message_has_none_either(control: str) -> None:
    ((where, message),) = said(judge(changed("path", to=f"dist/a{control}.html")))
    assert where == "/path"
    assert message.endswith("contains a control character: rename the page")
    assert message.isprintable()


@pytest.mark.parametrize("path", ["index.html", "dist/…/ü 1.html", "a..b/.well-known/x", "dist/c:d.html", "..."])
def test_odd_but_honest_paths_are_fine(path: str) -> None:
    assert judge(changed("path", to=path)).valid


# --- advice -------------------------------------------------------------------------------------------


ADVICE = [
    (changed("engine", to="md"), "/engine", 'engine is "md": only "html" is known to work'),
    (
        changed("head", "title", to="x" * 71),
        "/head/title",
        "head.title has 71 characters, search engines show about 70: shorten the <title> of dist/a.html",
    ),
    (
        changed("head", "metaDescription"),
        "/head/metaDescription",
        'head.metaDescription is missing: add a <meta name="description"> to dist/a.html',
    ),
    (
        changed("head", "metaDescription", to="x" * 161),
        "/head/metaDescription",
        "head.metaDescription has 161 characters, search engines show about 160: "
        "shorten the description of dist/a.html",
    ),
    (
        {**GOOD, "above_fold_blocks": [], "rest_of_page_blocks": [], "selector_map": {}},
        "/main_selector",
        'main_selector leaves the page without blocks: "main" finds no text in dist/a.html',
    ),
    (
        changed("selector_map", "block-9", to="p"),
        "/selector_map/block-9",
        'selector_map["block-9"] belongs to no block of the page: leave it out',
    ),
    (changed("dimensions", "brand", to=None), "/dimensions/brand", "dimensions.brand is null: leave it out"),
    (
        changed("head", "title", to="A caf\ufffd"),
        "/head/title",
        "head.title holds U+FFFD in place of bytes that are no text: "
        "declare the encoding of dist/a.html with <meta charset>, or repair the file",
    ),
]


@pytest.mark.parametrize(("document", "pointed", "message"), ADVICE)
def test_advice_does_not_keep_a_page_back(document: Any, pointed: str, message: str) -> None:
    verdict = judge(document)
    assert verdict.issues == (Issue(FILE, pointed, message, "warning"),)
    assert verdict.valid
    assert verdict.digest


def test_a_dangling_selector_may_be_shared() -> None:
    assert judge(changed("selector_map", "block-9", to="h1")).valid


# --- limits -------------------------------------------------------------------------------------------


def test_a_page_lists_its_first_hundred_issues_and_counts_the_rest() -> None:
    document = changed("selector_map", to={f"x{i:03}": "p" for i in range(150)})
    verdict = judge({**document, "above_fold_blocks": [{}] * 40})
    assert len(verdict.issues) == 101
    assert verdict.issues[-1].message == "22 more issues are not listed: fix these first, then run it again"
    assert verdict.issues[-1].severity == "error"


def test_errors_come_first_so_that_a_cut_list_never_hides_them() -> None:
    document = changed("head", "title")
    document["selector_map"] |= {f"x{i:03}": "p" for i in range(150)}
    verdict = judge(document)
    assert [issue.severity for issue in verdict.issues] == ["error"] + ["warning"] * 100
    assert not verdict.valid


def test_a_page_record_too_big_for_kv_is_an_error() -> None:
    verdict = judge(changed("above_fold_blocks", 0, "content", to="x" * (25 * 1024 * 1024)))
    ((where, message),) = said(verdict)
    assert where == ""
    assert message.startswith("the page record would take 26,21")
    assert message.endswith(
        " bytes, KV takes 26,214,400: split the page, or leave part of it out with data-nimbus-ignore"
    )


def test_a_file_bigger_than_kv_takes_is_fine_when_white_space_made_it_so() -> None:
    data = json.dumps(GOOD).replace('"path":', '"path":' + " " * 26_214_400).encode()
    assert validate_map(FILE, data, PROJECT).valid
    assert validate_map(FILE, data, PROJECT).size < 4096


def test_a_huge_document_of_another_kind_is_one_issue() -> None:
    assert len(validate_map(FILE, b'"' + b"x" * 27_000_000 + b'"', PROJECT).issues) == 2


def test_keys_too_long_for_kv_are_an_error() -> None:
    assert judge(GOOD, "p" * 486).valid is True
    assert said(judge(GOOD, "p" * 500)) == [
        ("", "the page's keys would take 525 bytes, KV takes 512: use a shorter project id")
    ]


def test_long_and_odd_names_stay_readable() -> None:
    assert name(()) == "the document"
    assert name(("selector_map", "a b", 3, "x")) == 'selector_map["a b"][3].x'
    assert pointer(("a/b", "c~d", 0)) == "/a~1b/c~0d/0"
    verdict = judge(changed("engine", to="x" * 100_000))
    assert len(verdict.issues[0].message) < 200


# --- between pages ------------------------------------------------------------------------------------


def verdict_of(file: str, path: str, page_id: str = "") -> Verdict:
    return Verdict(file, path, page_id or keys.page_id(PROJECT, path), "d", 1, ())


def test_pages_with_paths_of_their_own_do_not_disturb_each_other() -> None:
    unusable = Verdict("x.json", "", "", "", 1, ())
    assert cross_check([verdict_of("a.json", "a"), verdict_of("b.json", "b"), unusable, unusable]) == []


def test_two_maps_of_one_page_are_an_error_of_both() -> None:
    verdicts = [verdict_of("a.json", "dist/x.html"), verdict_of("b.json", "dist/x.html")]
    assert cross_check(iter(verdicts)) == [
        Issue("a.json", "/path", "a.json and b.json describe the same page, dist/x.html: keep one of them"),
        Issue("b.json", "/path", "b.json and a.json describe the same page, dist/x.html: keep one of them"),
    ]


def test_two_paths_that_meet_in_one_page_id_are_an_error_of_both() -> None:
    page_id = "page_0123456789ab"
    meet = "have the same page id, page_0123456789ab: rename one of the pages"
    verdicts = [verdict_of("a.json", "dist/x.html", page_id), verdict_of("b.json", "dist/y.html", page_id)]
    assert [issue.message for issue in cross_check(verdicts)] == [
        f"dist/x.html (a.json) and dist/y.html (b.json) {meet}",
        f"dist/y.html (b.json) and dist/x.html (a.json) {meet}",
    ]


def test_a_folder_copied_by_mistake_gives_no_endless_messages() -> None:
    issues = cross_check([verdict_of(f"{i}.json", "x") for i in range(1000)])
    assert len(issues) == 1000
    assert issues[0].message == (
        "0.json, 1.json, 2.json, 3.json and 996 more describe the same page, x: keep one of them"
    )
    assert issues[9].message.startswith("9.json, 0.json, 1.json, 2.json and 996 more ")


# --- the extraction -----------------------------------------------------------------------------------


def test_extraction_is_the_map_without_its_path_and_without_white_space() -> None:
    data = json.dumps(GOOD, indent=4).encode()
    expected = {field: value for field, value in GOOD.items() if field != "path"}
    assert bytes(extraction_of(data)) == msgspec.json.encode(expected)
    assert list(json.loads(bytes(extraction_of(data)))) == list(expected)


def test_unknown_fields_travel_along_unchanged() -> None:
    document = copy.deepcopy(GOOD)
    document["generated_at"] = "2024-09-02T13:45:00Z"
    document["x"] = {"deep": [1, 1.50, None, 10**30, {" a ": " b  c "}]}
    document["above_fold_blocks"][0]["score"] = 0.25
    document["dimensions"]["n"] = 3
    data = json.dumps(document, indent=1).encode()
    assert validate_map(FILE, data, PROJECT).valid
    del document["path"]
    assert json.loads(bytes(extraction_of(data))) == document


# --- properties ---------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def _blocks_of(ids: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    optional = {"attributes": st.dictionaries(texts, texts, max_size=2), "optimized_content": texts, "x": texts}
    block = st.fixed_dictionaries({"type": st.sampled_from(["p", "li"]), "content": texts}, optional=optional)
    return st.lists(block, min_size=len(ids), max_size=len(ids)).map(
        lambda blocks: [{"id": block_id, **block} for block_id, block in zip(ids, blocks, strict=True)]
    )


@st.composite
def pages(draw: st.DrawFn) -> dict[str, Any]:
    """Any good page."""
    ids = [f"block-{i}" for i in range(draw(st.integers(0, 5)))]
    fold = draw(st.integers(0, len(ids)))
    return {
        "path": draw(st.sampled_from(["dist/a.html", "ü.html", "dist/x y/z.html"])),
        "engine": "html",
        "main_selector": "main",
        "head": {"title": "T" + draw(texts), **draw(st.dictionaries(texts, texts, max_size=3))} | {"title": "T"},
        "dimensions": draw(st.dictionaries(texts, st.integers() | texts, max_size=3)),
        "above_fold_blocks": draw(_blocks_of(ids[:fold])),
        "rest_of_page_blocks": draw(_blocks_of(ids[fold:])),
        "selector_map": {block_id: f"p:nth-of-type({i})" for i, block_id in enumerate(ids)},
    }


@st.composite
def bad_pages(draw: st.DrawFn) -> dict[str, Any]:
    """A good page with one or two values somewhere replaced by anything, or left out."""
    page = draw(pages())
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(page))
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = draw(anything | st.sampled_from(["", " ", "block-0", "p:nth-of-type(0)"]))
    return page


def _places(value: Any) -> Any:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(members):
        yield value, key
        yield from _places(inner)


@given(pages())
def test_valid_pages_pass_both_checks(page: dict[str, Any]) -> None:
    assert judge(page).valid
    assert list(rules.errors(page)) == []


@given(bad_pages())
def test_the_fast_and_the_thorough_check_agree(page: dict[str, Any]) -> None:
    try:
        document = syntax.read(json.dumps(page).encode())
    except syntax.UnreadableError:
        return
    shaped = rules.as_page(document)
    sound = shaped is not None and rules.is_sound(shaped)
    assert sound == (list(rules.errors(document)) == [])
    assert judge(page).valid == sound
    assert bool(judge(page).digest) == sound


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise(data: bytes) -> None:
    verdict = validate_map(FILE, data, PROJECT)
    assert not verdict.valid
    assert all(issue.message.isprintable() for issue in verdict.issues)
    msgspec.json.encode(verdict)


@given(bad_pages(), st.data())
def test_no_damaged_file_raises(page: dict[str, Any], data: st.DataObject) -> None:
    written = json.dumps(page, ensure_ascii=False).encode("utf-8", "surrogatepass")
    at = data.draw(st.integers(0, len(written)))
    damaged = written[:at] + data.draw(st.binary(max_size=3)) + written[at + data.draw(st.integers(0, 3)) :]
    msgspec.json.encode(validate_map(FILE, damaged, PROJECT))


def _shuffled(value: Any, shuffle: Callable[[list[Any]], list[Any]]) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(value[key], shuffle) for key in shuffle(list(value))}
    return [_shuffled(inner, shuffle) for inner in value] if isinstance(value, list) else value


@given(pages(), st.data())
def test_the_digest_does_not_see_order_white_space_escapes_or_time_stamps(
    page: dict[str, Any], data: st.DataObject
) -> None:
    other = _shuffled(page, lambda keys: data.draw(st.permutations(keys)))
    other |= {stamp: data.draw(texts) for stamp in data.draw(st.sets(st.sampled_from(sorted(VOLATILE_FIELDS))))}
    written = json.dumps(other, indent=data.draw(st.sampled_from([None, 0, 3])), ensure_ascii=data.draw(st.booleans()))
    assert validate_map(FILE, written.encode(), PROJECT).digest == judge(page).digest


@given(pages(), texts, st.data())
def test_the_digest_sees_any_other_change(page: dict[str, Any], text: str, data: st.DataObject) -> None:
    other = copy.deepcopy(page)
    places = [(holder, key) for holder, key in _places(other) if isinstance(holder[key], str)]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(st.just(holder[key] + "x") | st.just(text).filter(lambda new: new != holder[key]))
    assert content_digest(other) != content_digest(page)


@given(pages(), st.dictionaries(texts, anything, max_size=3))
def test_extraction_keeps_any_page_whole(page: dict[str, Any], unknown: dict[str, Any]) -> None:
    whole = {**unknown, **page}
    written = json.dumps(whole, indent=1).encode()
    if not validate_map(FILE, written, PROJECT).valid:  # a lone surrogate among the unknown fields
        return
    extraction = bytes(extraction_of(written))
    assert json.loads(extraction) == {field: value for field, value in whole.items() if field != "path"}
    assert extraction_of(written) == extraction_of(extraction[:-1] + b',"path":"x"}')
