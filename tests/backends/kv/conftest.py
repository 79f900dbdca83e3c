"""The servers that the contract is asked of: one of each for all tests of a process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from edge.fake import Fake
from edge.workerd import Workerd

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSIC = Path(__file__).parents[2] / "edge/classic.js"


@pytest.fixture(scope="session")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    with Workerd(tmp_path_factory.mktemp("workerd")) as running:
        yield running


@pytest.fixture(scope="session")
def classic_workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    with Workerd(tmp_path_factory.mktemp("classic"), worker=CLASSIC) as running:
        yield running


@pytest.fixture(scope="session")
def fake() -> Iterator[Fake]:
    # The API's rate limit is the API's own test; here it would only stand in the way.
    with Fake(requests=1_000_000, namespaces=()) as running:
        yield running
