"""What a user asks of a key: checked before the target is asked anything."""

from __future__ import annotations

import re
import secrets

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError

PREFIX = "sk_live_"
#: So much of a hash is shown, and is enough to name a key.
SHOWN_DIGITS = 8
LONGEST_NAME = 64
_USER = re.compile(r"user_[0-9A-Za-z_-]{1,64}")
#: Enough to catch a slip; whether mail arrives there, only sending it would tell.
_EMAIL = re.compile(r"[^\s@:]{1,64}@[^\s@:]{1,190}")


def new_key() -> str:
    return f"{PREFIX}{secrets.token_hex(16)}"


class Wish(Struct, frozen=True):
    """What a user asks of a new key. `user`: whose it is, if the project has no owner yet; empty: a new user's."""

    name: str
    user: str = ""
    email: str = ""

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            SettingsError: it names the option.
        """
        if not self.name:
            raise SettingsError("A key needs a name that says where it is used.", "Such as --name=ci")
        if len(self.name) > LONGEST_NAME or not self.name.isprintable() or self.name != self.name.strip():
            raise SettingsError(f"--name={self.name[:LONGEST_NAME]} must be 1 to {LONGEST_NAME} printable characters.")
        if self.user and not _USER.fullmatch(self.user):
            raise SettingsError(f"--user={self.user} must look like user_0123456789ab.")
        if self.email and not (_EMAIL.fullmatch(self.email) and self.email.isprintable()):
            raise SettingsError(f"--email={self.email} must look like ann@example.com.")


def check_choice(name: str, hashed: str) -> None:
    """Refuse what names no key.

    Raises:
        SettingsError: it names the option; a key that was given in place of its hash is not repeated.
    """
    if bool(name) == bool(hashed):
        raise SettingsError("Say which key: --name=ci, or --key= and its hash.", "doit nimbus:key:list shows both.")
    if hashed.startswith(PREFIX):
        raise SettingsError(
            "--key takes a key's hash, not the key itself, which others could read in the list of processes.",
            "doit nimbus:key:list shows the hashes.",
        )
    if hashed and not re.fullmatch(rf"[0-9a-f]{{{SHOWN_DIGITS},64}}", hashed.removeprefix("sha256:")):
        raise SettingsError(f"--key={hashed} must be {SHOWN_DIGITS} or more hex digits of a hash.")
