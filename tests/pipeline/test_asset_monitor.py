"""Following uploads to the service: until nothing moves, over its absences, and never for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nimbus_tasks.backends.blobs.server_progress import Stats
from nimbus_tasks.cli.messages.assets import phases
from nimbus_tasks.model.errors import RefusedError, StoreError, TransientError
from nimbus_tasks.pipeline import asset_monitor
from nimbus_tasks.pipeline.asset_monitor import follow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    Followed = Callable[..., tuple[Stats, list[Any]]]

MOVING = Stats(3, 2, 1, 1, 0, 1, 1, 0)
ENDED = Stats(3, 3, 3, 2, 1, 0, 0, 0)
AWAY = TransientError("127.0.0.1 does not answer.")


class Scripted:
    """A service that answers as it is told to, then as the last time. streams: it sends several looks at a time."""

    def __init__(self, answers: Iterable[Stats | StoreError], *, streams: bool) -> None:
        self._answers = list(answers)
        self._streams = streams
        self.closed = False

    async def stats(self) -> Stats:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def stream(self) -> AsyncGenerator[Stats]:
        if not self._streams:
            raise RefusedError("It sends no events.")
        for _ in range(2):
            yield await self.stats()

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(params=[True, False], ids=["events", "asked"])
def followed(request: pytest.FixtureRequest) -> Followed:
    def run(*answers: Stats | StoreError) -> tuple[Stats, list[Any]]:
        """Return the end, and what was shown."""
        told: list[Any] = []
        service = Scripted(answers, streams=request.param)
        try:
            return asyncio.run(follow(service, 1, told.append, told.append)), told  # type: ignore[arg-type]
        finally:
            assert service.closed

    return run


def test_each_look_is_shown_until_nothing_moves(followed: Followed) -> None:
    assert followed(MOVING, MOVING, ENDED) == (ENDED, [MOVING, MOVING, ENDED])


def test_uploads_that_nobody_continues_are_not_waited_for(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    unused = Stats(3, 2, 2, 2, 0, 1, 0, 0)
    monkeypatch.setattr(asset_monitor, "QUIET", 0.0)
    assert followed(MOVING, MOVING, unused) == (unused, [MOVING, MOVING, unused, unused])


def test_an_absence_is_told_once_and_waited_for(followed: Followed) -> None:
    assert followed(MOVING, AWAY, AWAY, MOVING, AWAY, ENDED) == (ENDED, [MOVING, AWAY, MOVING, AWAY, ENDED])


def test_a_service_that_never_answers_or_stays_away_is_given_up(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TransientError):
        followed(AWAY)
    monkeypatch.setattr(asset_monitor, "PATIENCE", 0.0)
    with pytest.raises(TransientError):
        followed(MOVING, AWAY)
    with pytest.raises(StoreError, match="credentials"):
        followed(MOVING, StoreError("It does not accept the credentials."))


def test_a_service_that_refuses_to_be_asked_is_no_service_to_follow() -> None:
    with pytest.raises(RefusedError):
        asyncio.run(follow(Scripted([RefusedError("No.")], streams=False), 1, print, print))  # type: ignore[arg-type]


def test_three_phases_in_one_line() -> None:
    assert phases(MOVING) == "⬆️  Uploading 2/3 · Processing 1/3 · Searchable 1/3"
    assert phases(ENDED).endswith("Searchable 2/3 · 1 failed")
    assert phases(Stats(0, 0, 0, 0, 0, 0, 0, 0)).startswith("No file has been uploaded to the service yet")
