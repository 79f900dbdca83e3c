"""The Worker on real workerd, one for all tests of a process; each test has its own users and projects."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from edge.workerd import Workerd, needs_workerd
from worker_requests import WINDOW, User, new_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(needs_workerd)


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    """The Worker as it is shipped, but that it remembers nothing of auth."""
    with Workerd(tmp_path_factory.mktemp("worker"), NIMBUS_CACHE_SECONDS=0) as running:
        yield running


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    """The Worker with a window onto KV, small limits, and two kinds that have namespaces of their own."""
    namespaces = ("NIMBUS_KV", "NIMBUS_PAGES", "NIMBUS_STATUS")
    folder = tmp_path_factory.mktemp("window")
    limits = {"NIMBUS_LIMIT_PAIRS": 10, "NIMBUS_LIMIT_BYTES": 10_000, "NIMBUS_LIMIT_KEYS": 5}
    with Workerd(folder, worker=WINDOW, namespaces=namespaces, NIMBUS_CACHE_SECONDS=0, **limits) as running:
        yield running


@pytest.fixture
def admin(worker: Workerd) -> Iterator[httpx.Client]:
    with worker.client() as client:
        yield client


@pytest.fixture
def nobody(worker: Workerd) -> Iterator[httpx.Client]:
    """A client without a bearer."""
    with worker.client("") as client:
        yield client


@pytest.fixture
def behind(window: Workerd) -> Iterator[httpx.Client]:
    """The admin at the window; its faults end with the test."""
    with window.client() as client:
        yield client
        client.put("/_faults", json=[])


@pytest.fixture
def user(worker: Workerd) -> Iterator[User]:
    yield from new_user(worker)


@pytest.fixture
def other(worker: Workerd) -> Iterator[User]:
    yield from new_user(worker)


@pytest.fixture
def project() -> str:
    return new_project()


def new_user(worker: Workerd) -> Iterator[User]:
    name = f"user_{secrets.token_hex(6)}"
    key = worker.new_key(name)
    with worker.client(key) as client:
        yield User(name, key, client)
