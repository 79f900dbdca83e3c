"""Reads variables of the environment and collects mistakes, so that all of them are reported at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.secrets import CREDENTIALS_FILE, Secret, find_secret

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping


class Environment:
    """The variables of this process, or those given. root: of the project, whose credentials file is read as well."""

    def __init__(self, given: Mapping[str, str] | None = None, root: Path | None = None) -> None:
        self.given = given
        self._root = root or Path()
        self._mistakes: list[str] = []
        self._lacks_secrets = False

    def text(self, name: str) -> str:
        """Return a variable without white space around it; empty where it is not set."""
        return (os.environ if self.given is None else self.given).get(name, "").strip()

    def secret(self, name: str, *, optional: bool = False) -> Secret:
        """Return a secret; an empty one where it is not set."""
        try:
            found = find_secret(name, self._root, self.given)
        except SettingsError as error:
            self.note(error.message)
            return Secret("")
        if found is None and not optional:
            self.note(f"{name} is not set.")
            self._lacks_secrets = True
        return found or Secret("")

    def matching(self, name: str, pattern: re.Pattern[str], form: str) -> str:
        """Return a variable that must be set. form: of its valid values, for the message."""
        text = self.text(name)
        if not text:
            self.note(f"{name} is not set.")
        elif not pattern.fullmatch(text):
            self.note(f"{name} must be {form}.")
        return text

    def note(self, mistake: str) -> None:
        """Add a mistake: one sentence."""
        self._mistakes.append(mistake)

    def raise_mistakes(self) -> None:
        """Raise one error for all mistakes; nothing where there are none.

        Raises:
            SettingsError: the message names each.
        """
        if self._mistakes:
            where = f"Secrets are read from the environment and {CREDENTIALS_FILE}." if self._lacks_secrets else ""
            raise SettingsError(" ".join(self._mistakes), where)
