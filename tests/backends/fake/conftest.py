"""One fake for all tests that need no options, and a namespace of its own for each test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from edge.fake import Fake

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture(scope="session")
def fake() -> Iterator[Fake]:
    with Fake(namespaces=(), requests=10**9) as fake:
        yield fake


@pytest.fixture
def kv(fake: Fake) -> Iterator[httpx.Client]:
    """A client of an empty namespace."""
    with fake.client() as client:
        client.base_url = fake.namespace_url(secrets.token_hex(16))
        yield client
