"""Why a page was not optimised: a temporary failure, a permanent one, or one that stops the run.

Status records and reports count failures by their code.
"""

from __future__ import annotations

from typing import Literal

from nimbus_tasks.model.errors import NimbusError, TransientError

TemporaryCode = Literal["bad_answer", "crashed", "rate_limited", "timeout", "unavailable"]
PermanentCode = Literal["refused", "unreadable_page"]
HaltCode = Literal[
    "unauthorized",  # the key is not accepted
    "not_found",  # no such model or address
    "unreachable",  # no connection to the address
    "quota",  # the account has no credit left
    "spend_cap",  # the run has reached its limit
]


class TemporaryError(TransientError):
    """The page may succeed on a retry."""

    final = False

    def __init__(self, code: TemporaryCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[TemporaryError], tuple[str, str, str]]:
        return (TemporaryError, (self.code, self.message, self.next_step))


class PermanentError(NimbusError):
    """The page, as it is, fails on every retry."""

    exit_status = 1
    final = True

    def __init__(self, code: PermanentCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[PermanentError], tuple[str, str, str]]:
        return (PermanentError, (self.code, self.message, self.next_step))


class HaltError(NimbusError):
    """Every page would fail. The run stops, and the attempt does not count against the page."""

    def __init__(self, code: HaltCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[HaltError], tuple[str, str, str]]:
        return (HaltError, (self.code, self.message, self.next_step))
