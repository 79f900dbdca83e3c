"""Secrets from the environment, else from a file that only its owner can read. They appear in no output.

A secret has its own type: `repr` and `str` hide it, it cannot be pickled, and servers' messages are scrubbed of it.
What leaves this process (console, log, documents, reports) is scrubbed of all of them: `hide` and `hide_json`.
"""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nimbus_tasks.project.scrub import Form

CREDENTIALS_FILE = f"{STATE_FOLDER}/credentials.toml"
#: Longer than any token in use.
MOST_CHARACTERS = 4096
#: The names of all credentials, without those that other programs read.
NAMES = (
    *("NIMBUS_API_KEY", "NIMBUS_ADMIN_SECRET", "NIMBUS_AI_KEY", "CLOUDFLARE_API_TOKEN"),
    *("PINATA_JWT", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "REPLICATE_API_TOKEN"),
    *("NIMBUS_WEBHOOK_SECRET", "NIMBUS_SERVICE_KEY", "CRON_SECRET"),
)


class Secret:
    """A credential. Only `reveal` returns its text."""

    __slots__ = ("_forms", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._forms: tuple[Form, ...] = ()

    def reveal(self) -> str:
        return self._text

    def scrub(self, text: str) -> str:
        """Return a text without this secret in it, encoded or in part."""
        from nimbus_tasks.project import scrub

        self._forms = self._forms or scrub.forms_of(self._text)
        return scrub.scrub(text, self._forms)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret stays in its process.")


#: A shorter secret is no secret, and may be part of any word.
_LEAST_HIDDEN = 8
#: The secrets that this process has read from a file, by name. Those of the environment are looked up in it.
_read: dict[str, Secret] = {}


def hide(text: str) -> str:
    """Return a text without any credential of this process: for everything that leaves it."""
    for secret in _known():
        text = secret.scrub(text)
    return text


def hide_json(document: bytes) -> bytes:
    """Return a JSON document without any credential of this process."""
    text = document.decode()
    if hide(text) == text:
        return document
    return msgspec.json.encode(_hidden(msgspec.json.decode(document)))


def _hidden(value: Any) -> Any:
    match value:
        case str():
            return hide(value)
        case list():
            return [_hidden(each) for each in value]
        case dict():
            return {hide(key): _hidden(each) for key, each in value.items()}
        case _:
            return value


def _known() -> Iterator[Secret]:
    """Yield the secrets of this process."""
    for name in NAMES:
        text = os.environ.get(name, "").strip()
        if text and (name not in _read or _read[name].reveal() != text):
            _read[name] = Secret(text)
        if name in _read and len(_read[name].reveal()) >= _LEAST_HIDDEN:
            yield _read[name]


def read_secret(name: str, root: Path, environment: Mapping[str, str] | None = None) -> Secret:
    """Return the secret of this name.

    Raises:
        SettingsError: it is not set, its file can be read by others, or it has invalid characters.
    """
    secret = find_secret(name, root, environment)
    if secret is None:
        fix = f'Set it in the environment, or as {name} = "..." in {CREDENTIALS_FILE} (mode 0600).'
        made = " doit nimbus:key:create makes one." if name == "NIMBUS_API_KEY" else ""
        raise SettingsError(f"{name} is not set.", f"{fix}{made}")
    return secret


def find_secret(name: str, root: Path, environment: Mapping[str, str] | None = None) -> Secret | None:
    """Return the secret of this name; None where it is not set.

    Raises:
        SettingsError: its file can be read by others, or it has invalid characters.
    """
    text = (os.environ if environment is None else environment).get(name, "").strip()
    where = f"{name} in the environment"
    if not text:
        text = _from_file(name, root)
        where = f"{name} in {CREDENTIALS_FILE}"
    if not text:
        return None
    if len(text) > MOST_CHARACTERS or not all("!" <= character <= "~" for character in text):
        raise SettingsError(f"{where} has invalid characters.", "Was a line break or a space copied with it?")
    secret = Secret(text)
    if name in NAMES and environment is None:
        _read[name] = secret
    return secret


def _from_file(name: str, root: Path) -> str:
    try:
        # A link is followed; a pipe is not waited for.
        descriptor = os.open(root / CREDENTIALS_FILE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            # Of the open file, so that it cannot be replaced in between.
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
        # The error itself would quote the line, which may hold a secret.
        raise SettingsError(f'{CREDENTIALS_FILE} is not valid TOML: each line must be NAME = "...".') from None
    text = found.get(name, "")
    if not isinstance(text, str):
        raise SettingsError(f'{CREDENTIALS_FILE}: {name} must be a text: {name} = "...".')
    return text.strip()
