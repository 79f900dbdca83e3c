"""Attempts: what fails for the moment is done again after a backoff, a few times."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from nimbus_tasks.model.errors import TransientError

#: Is called before a request is sent again: the attempt that failed, the maximum, and why it failed.
OnRetry = Callable[[int, int, str], None]

#: Seconds.
LONGEST_BACKOFF = 30.0


class Attempts:
    """How often, and after how long, something is done again after a `TransientError`."""

    def __init__(self, tries: int, retry_wait: float, on_retry: OnRetry = lambda *_: None) -> None:
        """`retry_wait`: maximum seconds before the second attempt, doubled for each further one; all are jittered."""
        self.tries = tries
        self._on_retry = on_retry
        self._backoff = wait_random_exponential(multiplier=retry_wait, max=LONGEST_BACKOFF)

    def retrying(self, tries: int) -> AsyncRetrying:
        """Return what calls a function up to `tries` times, and raises its last error."""

        def report(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            # `Pace` reports a wait that the store asks for.
            if isinstance(error, TransientError) and error.wait is None:
                self._on_retry(state.attempt_number, tries, error.message)

        return AsyncRetrying(
            stop=stop_after_attempt(tries),
            retry=retry_if_exception_type(TransientError),
            wait=self._wait,
            before_sleep=report,
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # Where the store says how long to wait, `Pace` makes all requests wait.
        return 0.0 if isinstance(error, TransientError) and error.wait else self._backoff(state)


def times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
