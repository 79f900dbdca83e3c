"""Calls image workers from tests that are not coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.images import ImageWorkers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from pathlib import Path

    from nimbus_tasks.media.values import Processed
    from nimbus_tasks.project.settings import Images


class Bench:
    """Image workers, and the loop that they run in."""

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
