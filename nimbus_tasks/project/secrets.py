"""Secrets: from the environment, else from a file that only its owner can read. They are shown nowhere.

A secret is a value of its own type: its `repr` and `str` hide it, it cannot be pickled, and what a server says is
scrubbed of it before anybody reads that.
"""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, NoReturn

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREDENTIALS_FILE = f"{STATE_FOLDER}/credentials.toml"
#: Longer than any token in use; a header must end somewhere.
MOST_CHARACTERS = 4096
_HIDDEN = "***"


class Secret:
    """A credential. Only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def scrub(self, text: str) -> str:
        """Return a text without this secret in it."""
        return text.replace(self._text, _HIDDEN)

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret stays in its process.")


def read_secret(name: str, root: Path, environment: Mapping[str, str] | None = None) -> Secret:
    """Return the secret of this name.

    Raises:
        SettingsError: it is nowhere, or where others can read it, or no header could carry it.
    """
    secret = find_secret(name, root, environment)
    if secret is None:
        raise SettingsError(
            f"{name} is not set.", f'Set it in the environment, or as {name} = "..." in {CREDENTIALS_FILE} (mode 0600).'
        )
    return secret


def find_secret(name: str, root: Path, environment: Mapping[str, str] | None = None) -> Secret | None:
    """Return the secret of this name, None where there is none.

    Raises:
        SettingsError: it is where others can read it, or no header could carry it.
    """
    text = (os.environ if environment is None else environment).get(name, "").strip()
    where = f"{name} in the environment"
    if not text:
        text = _from_file(name, root)
        where = f"{name} in {CREDENTIALS_FILE}"
    if not text:
        return None
    if len(text) > MOST_CHARACTERS or not all("!" <= character <= "~" for character in text):
        raise SettingsError(f"{where} holds characters that no key has.", "Was a line break or a blank copied with it?")
    return Secret(text)


def _from_file(name: str, root: Path) -> str:
    try:
        with open(root / CREDENTIALS_FILE, "rb") as file:
            # Asked of the open file: nobody can exchange it in between.
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise SettingsError(
                    f"{CREDENTIALS_FILE} can be read by others (mode {stat.S_IMODE(mode):04o}).",
                    f"Run: chmod 600 {CREDENTIALS_FILE}",
                )
            found = tomllib.load(file)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError(f"{CREDENTIALS_FILE} cannot be read: {(error.strerror or '').lower()}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        # The error itself would quote the line, and a secret may be in it.
        raise SettingsError(f'{CREDENTIALS_FILE} is not valid TOML: each line must be NAME = "...".') from None
    text = found.get(name, "")
    if not isinstance(text, str):
        raise SettingsError(f'{CREDENTIALS_FILE}: {name} must be a text: {name} = "...".')
    return text.strip()
