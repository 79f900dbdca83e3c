"""The servers that the contract is asked of: one of each for all tests of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edge.seaweed import Seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with Seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running
