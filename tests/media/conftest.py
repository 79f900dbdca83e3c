"""One process for pictures, for all tests of a module: it is used again for many pictures, as in the service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from bench import Bench

from nimbus_tasks.project.settings import Images

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def bench(runner: asyncio.Runner) -> Iterator[Bench]:
    bench = Bench(runner, Images(processes=1))
    yield bench
    bench.close()
