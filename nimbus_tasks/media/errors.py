"""Why there is no picture or no vector: for good, or for now."""

from __future__ import annotations

from typing import Literal

from nimbus_tasks.model.errors import NimbusError

#: The classes of errors that the service's API shows.
Kind = Literal["rate_limit", "network", "server", "invalid", "auth", "quota", "unknown"]


class MediaError(NimbusError):
    """One picture failed.

    code: a word for programs. kind: the class that users see. permanent: another try with the same bytes fails as well.
    wait: seconds after which another try is worth it; None where nobody says.
    """

    exit_status = 1

    def __init__(
        self,
        code: str,
        message: str,
        next_step: str = "",
        *,
        kind: Kind = "invalid",
        permanent: bool = True,
        wait: float | None = None,
    ) -> None:
        super().__init__(message, next_step)
        self.code, self.kind, self.permanent, self.wait = code, kind, permanent, wait


def temporary(
    code: str, message: str, next_step: str = "", *, kind: Kind = "server", wait: float | None = None
) -> MediaError:
    """Return an error that another try may not meet."""
    return MediaError(code, message, next_step, kind=kind, permanent=False, wait=wait)
