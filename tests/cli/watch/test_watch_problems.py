"""A problem is reported once, and again when it is fixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.cli.watch.problems import Problems, compare, upload_problems
from nimbus_tasks.project.settings import PROJECT_FILE
from nimbus_tasks.publishing.outcome import Outcome, PageResult

wrongs = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["one thing", "another"]))


@given(st.lists(wrongs))
def test_the_news_add_up_to_what_is_wrong_now_and_nothing_is_reported_twice(states: list[dict[str, str]]) -> None:
    known: dict[str, str] = {}
    for state in states:
        news = compare(known, state)
        assert all(known.get(about) != text for about, text in news.wrong.items())
        assert all(about in known for about in news.fixed)
        known = {about: text for about, text in (known | news.wrong).items() if about not in news.fixed}
        assert known == state


def test_every_problem_is_listed_by_what_it_is_about() -> None:
    assert Problems().all() == {}
    wrong = Problems(settings="bad", source="none", pages={"a.json": "no title"}, upload={"upload": "lost"})
    assert wrong.all() == {
        PROJECT_FILE: "bad",
        "source": "none",
        "a.json": "a.json - no title",
        "upload": "lost",
    }


def outcome(*pages: PageResult, stopped: str = "", refusal: str = "") -> Outcome:
    return Outcome("sqlite", "", "", pages=list(pages), stopped=stopped, refusal=refusal)


STORED = PageResult("dist/a.html", "page_a", "new", "stored")
FAILED = PageResult("dist/b.html", "page_b", "new", "failed", "too large", map_file="b.json")
HALF_GONE = PageResult("dist/c.html", "page_c", "removed", "failed", "no answer")
INVALID = PageResult("dist/d.html", "page_d", "", "invalid", "no title", map_file="d.json")


@pytest.mark.parametrize(
    ("done", "said", "unsent"),
    [
        (outcome(STORED), {}, False),
        (outcome(STORED, FAILED), {"b.json": "b.json - too large"}, True),
        (outcome(HALF_GONE), {"dist/c.html": "dist/c.html - no answer"}, True),
        (outcome(stopped="the store is away"), {"upload": "Stopped: the store is away"}, True),
        (
            outcome(refusal="300 at once"),
            {"removals": "Pages whose source is gone stay as they are: 300 at once."},
            False,
        ),
        # The invalid page is reported itself, and removals wait for it.
        (outcome(INVALID, refusal="1 page is invalid"), {}, False),
    ],
)
def test_a_retry_helps_only_for_what_the_store_did_not_take(done: Outcome, said: dict[str, str], unsent: bool) -> None:
    assert upload_problems(done) == (said, unsent)
