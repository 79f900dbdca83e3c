"""Requests: everything once, in order, within the limits."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.kv import Limits
from nimbus_tasks.backends.kv.chunks import pack

SIZES = st.lists(st.integers(0, 20))


def packed(sizes: list[int], pairs: int, most: int) -> list[list[int]]:
    return list(pack(sizes, lambda size: size, Limits(pairs, most, 1)))


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_everything_is_sent_once_in_its_order(sizes: list[int], pairs: int, most: int) -> None:
    assert [size for request in packed(sizes, pairs, most) for size in request] == sizes


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_no_request_is_larger_than_allowed_unless_one_thing_is(sizes: list[int], pairs: int, most: int) -> None:
    for request in packed(sizes, pairs, most):
        assert 0 < len(request) <= pairs
        assert sum(request) <= most or len(request) == 1


@given(SIZES, st.integers(1, 6), st.integers(1, 15))
def test_no_request_is_smaller_than_it_must_be(sizes: list[int], pairs: int, most: int) -> None:
    requests = packed(sizes, pairs, most)
    for request, following in itertools.pairwise(requests):
        assert len(request) == pairs or sum(request) + following[0] > most


def test_nothing_needs_no_request() -> None:
    assert packed([], 5, 5) == []
