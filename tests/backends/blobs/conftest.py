"""The servers that the contract is asked of: one of each for all tests of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from edge.pinata import Account, Pinata
from edge.seaweed import Seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with Seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture(scope="session")
def _pinata_server() -> Iterator[Pinata]:
    with Pinata(accounts=100, requests=100_000) as running:
        yield running


@pytest.fixture
def pinata(_pinata_server: Pinata) -> Account:
    """Files of one account are found by their digests, so each test has an account of its own."""
    return _pinata_server.account()
