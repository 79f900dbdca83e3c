"""What commands share that ask the target: a connection for one question, and options that may not be empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from nimbus_tasks.backends import concurrency
from nimbus_tasks.cli.messages import Retries, rate_limited
from nimbus_tasks.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.pipeline.pipeline import Pipeline
    from nimbus_tasks.publishing.target import OpenTarget

T = TypeVar("T")


def is_given(option: str, value: str | None) -> bool:
    """Return whether an option was given. An empty value is an error: it is most often an unset variable.

    Raises:
        SettingsError: it is empty.
    """
    if value == "":
        raise SettingsError(f"{option} is empty.", "Give it a value, or leave it out.")
    return value is not None


def text_of(option: str, value: str | None) -> str:
    """Return the value of an option, empty if it was not given.

    Raises:
        SettingsError: it was given and is empty.
    """
    is_given(option, value)
    return value or ""


class TargetCommands:
    """Commands about what the target holds."""

    def __init__(self, console: Console, pipeline: Pipeline) -> None:
        self.console = console
        self.pipeline = pipeline

    def at_target(self, ask: Callable[[OpenTarget], Awaitable[T]]) -> T:
        """Open the target, and return the answer to one question."""
        from nimbus_tasks.backends.kv.open import Connection
        from nimbus_tasks.publishing.target import open_target

        def say(seconds: float, why: str) -> None:
            rate_limited(self.console, seconds, why)

        answers: list[T] = []

        async def run() -> None:
            pipeline = self.pipeline
            connection = Connection(
                waiting=say, retrying=Retries(self.console), record=pipeline.log_request, warn=pipeline.warn
            )
            async with open_target(self.pipeline.settings, connection) as target:
                answers.append(await ask(target))

        # Not returned as the task's result: after Ctrl-C asyncio formats that, which takes long for thousands of pages.
        concurrency.run(run())
        return answers[0]
