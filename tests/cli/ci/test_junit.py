"""The JUnit report: read by a strict XML parser, and made of what JUnit's readers know."""

from __future__ import annotations

from xml.etree import ElementTree

from any_problems import issues, pages
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.ci.junit import junit
from nimbus_tasks.model.issues import Issue
from nimbus_tasks.publishing.outcome import PageResult

#: Elements and their attributes, as Jenkins' schema (junit-10.xsd of its xUnit plugin) has them.
KNOWN = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set[str](),
}
NOW = "2026-11-21T12:00:00.000Z"


def read(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.keys()) == KNOWN[element.tag]
    return root


def cases(text: str) -> dict[str, ElementTree.Element]:
    return {case.get("name", ""): case for case in read(text).iter("testcase")}


def page(path: str, result: str = "stored", error: str = "", **more: object) -> PageResult:
    return PageResult(path, "page_1", "new", result, error, **more)  # type: ignore[arg-type]


def test_each_page_is_a_case_and_the_counts_are_theirs() -> None:
    text = junit(
        [
            page("dist/a.html", ms=1500.0),
            page("dist/b.html", "failed", "too large"),
            page("dist/c.html", "skipped", "noindex"),
            page("index.html", "waiting"),
        ],
        [],
        NOW,
    )
    (suite,) = read(text)
    assert [suite.get(name) for name in ("tests", "failures", "skipped", "timestamp", "time")] == [
        "4",
        "1",
        "2",
        "2026-11-21T12:00:00",
        "1.500",
    ]
    told = cases(text)
    assert told["dist/a.html"].attrib | {} == {
        "name": "dist/a.html",
        "classname": "dist",
        "time": "1.500",
    }
    assert len(told["dist/a.html"]) == 0
    failure = told["dist/b.html"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message"), failure.text) == ("failed", "too large", "too large")
    skipped = told["index.html"].find("skipped")
    assert skipped is not None
    assert (skipped.get("message"), told["index.html"].get("classname")) == ("left for later", ".")


def test_the_issues_of_an_invalid_page_are_its_failure_and_its_warnings_are_output() -> None:
    found = [
        Issue("m.json", "/head/title", "is missing"),
        Issue("m.json", "", "has <no> text"),
        Issue("m.json", "/head", "could be better", "warning"),
    ]
    text = junit([page("a.html", "invalid", "is missing", map_file="m.json")], found, NOW)
    case = cases(text)["a.html"]
    assert case.findtext("failure") == "m.json /head/title - is missing\nm.json - has <no> text"
    assert case.findtext("system-out") == "warning: m.json /head - could be better"


@given(st.lists(pages, max_size=8), st.lists(issues, max_size=5))
def test_whatever_pages_hold_it_is_xml(some: list[PageResult], found: list[Issue]) -> None:
    found += [Issue(each.map_file, "", "x") for each in some[:2]]
    (suite,) = read(junit(some, found, NOW))
    assert suite.get("tests") == str(len(some)) == str(len(suite))
    failed = sum(each.result in ("failed", "invalid") for each in some)
    assert suite.get("failures") == str(failed) == str(len(list(suite.iter("failure"))))
