"""The places of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edge.workerd import needs_workerd

from classic.places import place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from classic.places import Place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """The embedded store, which is quick."""
    yield from place("sqlite", tmp_path)


@pytest.fixture(
    params=["sqlite", pytest.param("gateway", marks=needs_workerd), pytest.param("classic", marks=needs_workerd)]
)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of store that classic clients write to."""
    yield from place(request.param, tmp_path)
