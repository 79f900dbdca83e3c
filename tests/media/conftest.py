"""One process for pictures, for all tests of a module: it is used again for many pictures, as in the service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.images import ImageWorkers
from nimbus_tasks.project.settings import Images

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from nimbus_tasks.media.values import Processed


class Bench:
    """Calls image workers from tests that are not coroutines."""

    def __init__(self, runner: asyncio.Runner, settings: Images) -> None:
        self._runner = runner
        self.workers = self.run(_made(settings))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def process(self, source: bytes | Path, content_type: str = "") -> Processed:
        return self.run(self.workers.process(source, content_type))

    def error(self, source: bytes | Path, content_type: str = "") -> MediaError:
        with pytest.raises(MediaError) as raised:
            self.process(source, content_type)
        return raised.value

    def close(self) -> None:
        self.run(self.workers.close())


async def _made(settings: Images) -> ImageWorkers:
    return ImageWorkers(settings)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def bench(runner: asyncio.Runner) -> Iterator[Bench]:
    bench = Bench(runner, Images(processes=1))
    yield bench
    bench.close()
