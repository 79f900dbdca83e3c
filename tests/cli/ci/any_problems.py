"""Problems, pages and texts as hypothesis makes them."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from nimbus_tasks.cli.ci.problems import Check, Problem
from nimbus_tasks.model.issues import Issue, Severity
from nimbus_tasks.publishing.outcome import PageResult, ResultName

#: Whatever a path or a page may hold, and what means something to who reads the reports.
hostile = st.one_of(
    st.text(),
    st.text(st.sampled_from("%:,|`\n\r<>&\"'[]\\#x")),
    st.sampled_from(["::error::x", "##[error]x", "]]>", "\x00\x1b[2J", "\ud800", "\ufffe", "a" * 5000]),
)
severities = st.sampled_from(get_args(Severity))
problems = st.builds(
    Problem,
    path=hostile,
    check=st.sampled_from(get_args(Check)),
    severity=severities,
    message=hostile,
    place=hostile,
    line=st.integers(0, 10_000),
    column=st.integers(0, 500),
)
issues = st.builds(Issue, file=hostile, pointer=hostile, message=hostile, severity=severities, line=st.integers(0, 9))
pages = st.builds(
    PageResult,
    path=hostile,
    page_id=st.sampled_from(["", "page_0123456789ab"]),
    reason=st.sampled_from(["", "new"]),
    result=st.sampled_from(get_args(ResultName)),
    error=hostile,
    ms=st.floats(0, 1e6),
    map_file=hostile,
)
