"""Why a page could not be optimised: not now, never, or none at all.

The code is what a status record and a report count by.
"""

from __future__ import annotations

from typing import Literal

from nimbus_tasks.model.errors import NimbusError, TransientError

#: The page stays as it is, and may go well another time.
PassingCode = Literal[
    "bad_answer",  # the model says something else than was asked; it may do better when it is asked again
    "rate_limited",  # the server asks for patience
    "timeout",
    "unavailable",  # no answer, or the server says that it is in trouble
]
#: The page as it is.
LastingCode = Literal["refused", "unreadable_page"]
#: What every page would meet alike, until somebody has seen to it.
HaltCode = Literal[
    "unauthorized",  # the key is not accepted
    "not_found",  # there is no such model or address
    "unreachable",  # nobody listens at the address
    "quota",  # the account has no money left
    "spend_cap",  # this run has spent what it may
]


class LaterError(TransientError):
    """Not now. Whoever tries again later may have more luck."""

    final = False

    def __init__(self, code: PassingCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[LaterError], tuple[str, str, str]]:
        return (LaterError, (self.code, self.message, self.next_step))


class NeverError(NimbusError):
    """Not this page. Another try of the same would end the same."""

    exit_status = 1
    final = True

    def __init__(self, code: LastingCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[NeverError], tuple[str, str, str]]:
        return (NeverError, (self.code, self.message, self.next_step))


class HaltError(NimbusError):
    """No page at all, as things are. Whoever works through many must stop, and count no try against any of them."""

    def __init__(self, code: HaltCode, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code

    def __reduce__(self) -> tuple[type[HaltError], tuple[str, str, str]]:
        return (HaltError, (self.code, self.message, self.next_step))
