"""Errors a user can cause. Each is one or two lines: what is wrong and where, then the next step.

Everything that leaves the package is one of these, so that one place (the tasks) turns them into a line
and an exit status. They carry fields, and survive pickling because extraction runs in other processes.
"""

from __future__ import annotations


class NimbusError(Exception):
    """Something that ends a command. `exit_status` 2: nothing could be done; 1: some pages failed."""

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
    """A setting or an option is wrong; the message names the file, the key and the nearest right one."""


class SourceError(NimbusError):
    """The folder of HTML or of maps cannot be used."""


class StoreError(NimbusError):
    """The target store cannot be reached, opened or read."""


class TransientError(StoreError):
    """The store could not answer just now: the same request may go well later.

    wait: seconds that the store asked everybody to wait; None where it did not say.
    """

    wait: float | None = None

    @classmethod
    def after(cls, wait: float | None, message: str) -> TransientError:
        error = cls(message)
        error.wait = wait
        return error


class UnreachableError(TransientError):
    """There was not even a connection: nobody listens there, or the name is not known."""


class TooSlowError(TransientError):
    """One request took the store too long: half of it may go well, and so may the same one later."""


class RefusedError(StoreError):
    """The store refuses the content of one request: what is in it fails, or is sent again in smaller parts."""


class TooMuchError(RefusedError):
    """One request was too large: half of it may go well."""


class StateError(NimbusError):
    """A file that we keep under `.nimbus/` cannot be read or written."""


class TransitionError(NimbusError):
    """A move between states that the lifecycle table does not have."""
