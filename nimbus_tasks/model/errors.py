"""Errors that a user can cause. Each says what is wrong and where, then the next step.

The command line turns them into a message and an exit status. They can be pickled, since extraction runs in other
processes.
"""

from __future__ import annotations


class NimbusError(Exception):
    """Ends a command. `exit_status` 2: nothing was done; 1: some pages failed."""

    exit_status = 2

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".rstrip()


class NoProjectError(NimbusError):
    """There is no `.nimbus/project.toml` here. above: the nearest folder above that has one; empty: none."""

    def __init__(self, above: str = "") -> None:
        if above:
            super().__init__(f"No project in this folder, but there is one in {above}.", f"Run: cd {above}")
        else:
            super().__init__("No project here.", "Run: doit nimbus:project:init")
        self.above = above

    def __reduce__(self) -> tuple[type[NoProjectError], tuple[str]]:
        return (NoProjectError, (self.above,))


class SettingsError(NimbusError):
    """A setting or option is invalid. The message names the file, the key and the closest valid one."""


class SourceError(NimbusError):
    """The folder of HTML or maps, or a file in it, cannot be used."""


class StoreError(NimbusError):
    """The target store cannot be reached, opened or read."""


class TransientError(StoreError):
    """The store cannot answer at the moment: a retry may succeed.

    wait: seconds after which the store allows a retry; None where it does not say.
    progressed: whether a part of the work was confirmed, so that a retry has less to do.
    """

    wait: float | None = None
    progressed: bool = False

    @classmethod
    def after(cls, wait: float | None, message: str) -> TransientError:
        error = cls(message)
        error.wait = wait
        return error


class UnreachableError(TransientError):
    """No connection: nothing listens at the address, or the host name is unknown."""


class TooSlowError(TransientError):
    """A request took the store too long: half of it may succeed, or a retry."""


class RefusedError(StoreError):
    """The store refuses the content of one request: its records fail, or are sent again in smaller requests."""


class FileError(RefusedError):
    """The file to send cannot be read, or has changed: the store was not the reason."""


class TooMuchError(RefusedError):
    """A request was too large: half of it may succeed."""


class UnreadableRecordError(StoreError):
    """A record at the target cannot be read. It is left as it is, since another program may understand it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key} at the target cannot be read: {why}.", "Run: doit nimbus:reconcile --repair --dry-run")
        self.key, self.why = key, why

    def __reduce__(self) -> tuple[type[UnreadableRecordError], tuple[str, str]]:
        return (UnreadableRecordError, (self.key, self.why))


class StateError(NimbusError):
    """A file under `.nimbus/`, or an output file, cannot be read or written."""


class TransitionError(NimbusError):
    """A move between states that the table in `states.py` does not contain."""
