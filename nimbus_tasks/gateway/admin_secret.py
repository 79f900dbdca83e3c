"""The admin's secret of the gateway, and a new one for the Worker on this machine."""

from __future__ import annotations

import secrets
import tomllib
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.secrets import CREDENTIALS_FILE, Secret, find_secret

if TYPE_CHECKING:
    from pathlib import Path

ADMIN_SECRET = "NIMBUS_ADMIN_SECRET"  # noqa: S105 - its name
#: The limits of the Worker.
LEAST_CHARACTERS, MOST_CHARACTERS = 16, 256


def find_admin_secret(root: Path) -> Secret | None:
    """Return the admin's secret, None if there is none.

    Raises:
        SettingsError: its length is wrong, or others can read its file.
    """
    secret = find_secret(ADMIN_SECRET, root)
    if secret is not None and not LEAST_CHARACTERS <= len(secret.reveal()) <= MOST_CHARACTERS:
        raise SettingsError(
            f"{ADMIN_SECRET} must have {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters: "
            "the Worker accepts no other length.",
            "openssl rand -hex 32 makes one.",
        )
    return secret


def make_admin_secret(root: Path) -> Secret:
    """Make a secret and store it in the credentials file, which only its owner can read.

    Raises:
        SettingsError: the file has a line for it already.
        StateError: the file cannot be written.
    """
    secret = Secret(secrets.token_hex(32))
    # A link to a file elsewhere stays a link.
    path = (root / CREDENTIALS_FILE).resolve()
    try:
        there = path.read_bytes() if path.exists() else b""
        # At the top, because below a [table] it would belong to that table.
        content = f'{ADMIN_SECRET} = "{secret.reveal()}"\n'.encode() + there
        if not _is_toml(content):
            raise SettingsError(f"{CREDENTIALS_FILE} has an empty {ADMIN_SECRET}.", "Remove that line.")
    except OSError as error:
        raise StateError(f"{CREDENTIALS_FILE} cannot be written: {(error.strerror or '').lower()}.") from None
    files.replace(path, content, mode=0o600, durable=True)
    return secret


def _is_toml(content: bytes) -> bool:
    try:
        tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return True
