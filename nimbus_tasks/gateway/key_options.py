"""The options of commands about API keys: what a new one gets, and which one is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.records import ApiKeyUsage
from nimbus_tasks.model.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "sk_live_"
#: Digits of a hash that are shown, and are enough to name a key.
SHOWN_DIGITS = 8
LONGEST_NAME = 64
_USER = re.compile(r"user_[0-9A-Za-z_-]{1,64}")
#: Catches typing errors; only sending mail would show whether the address works.
_EMAIL = re.compile(r"[^\s@:]{1,64}@[^\s@:]{1,190}")


class KeyOptions(Struct, frozen=True):
    """The options of a new key.

    user: its owner if the project has none yet; empty: a new user. content: it only reads pages by their address.
    program: it opens no session at the service.
    """

    name: str
    user: str = ""
    email: str = ""
    content: bool = False
    program: bool = False

    def check(self) -> None:
        """Check the options before the target is asked.

        Raises:
            SettingsError: names the wrong option.
        """
        if not self.name:
            raise SettingsError("A key needs a name that says where it is used.", "Such as --name=ci")
        if len(self.name) > LONGEST_NAME or not self.name.isprintable() or self.name != self.name.strip():
            raise SettingsError(
                f"A key's name must be 1 to {LONGEST_NAME} printable characters, with no space at either end.",
                "Such as --name=ci",
            )
        if self.user and not _USER.fullmatch(self.user):
            raise SettingsError(f"--user={self.user} must look like user_0123456789ab.")
        if self.email and not (_EMAIL.fullmatch(self.email) and self.email.isprintable()):
            raise SettingsError(f"--email={self.email} must look like ann@example.com.")


def check_choice(name: str, hashed: str) -> None:
    """Check the options that select a key.

    Raises:
        SettingsError: names the wrong option. A key given in place of its hash is not repeated.
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


class KnownKey(Struct, frozen=True):
    """A key as the target knows it. The gateway writes its use once a minute; without last_used none is recorded."""

    name: str
    hash: str
    created: str
    active: bool
    usage: ApiKeyUsage
    last_used: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET

    @property
    def short(self) -> str:
        return self.hash.removeprefix("sha256:")[:SHOWN_DIGITS]


class ListedKeys(Struct, frozen=True):
    """The API keys of a project's owner, oldest first. user_id: empty where the project has no owner yet."""

    user_id: str
    keys: list[KnownKey]


def choose(known: ListedKeys, name: str, hashed: str) -> KnownKey:
    """Return the key of this name, or whose hash begins so.

    Raises:
        SettingsError: no key matches, or more than one.
    """
    return _by_name(known, name) if name else _by_hash(known, hashed)


def _by_name(known: ListedKeys, name: str) -> KnownKey:
    # The name of a revoked key can be used again: prefer the active one, else the last one.
    named = [key for key in known.keys if key.name == name]
    if not named:
        raise _unknown(f"named {name}", name, [key.name for key in known.keys], known.user_id)
    return next((key for key in named if key.active), named[-1])


def _by_hash(known: ListedKeys, hashed: str) -> KnownKey:
    digits = hashed.removeprefix("sha256:")
    found = [key for key in known.keys if key.hash.startswith(f"sha256:{digits}")]
    if not found:
        shown = [key.short for key in known.keys]
        raise _unknown(f"whose hash begins with {digits}", digits[:SHOWN_DIGITS], shown, known.user_id)
    if len(found) > 1:
        raise SettingsError(f"{len(found)} keys have a hash that begins with {digits}.", "Give more of its digits.")
    return found[0]


def _unknown(which: str, given: str, known: Iterable[str], owner: str) -> SettingsError:
    nearest = closest(given, known)
    hint = f"Closest: {', '.join(nearest)}." if nearest else "There is no key yet: doit nimbus:key:create makes one."
    return SettingsError(f"{owner or 'This project, which has no owner yet,'} has no key {which}.", hint)
