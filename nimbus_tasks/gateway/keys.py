"""API keys at a target: create, list, revoke. A key is shown once, when it is created; the target stores its hash.

Reads from KV may be a minute old, so nothing here relies on a user's list of keys alone: where the target can list
names, a key that is missing from the list is still found, and can be revoked.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from nimbus_tasks.backends.kv import Write, all_names
from nimbus_tasks.backends.kv.records import read_many, read_one
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.keys import apikey_hash, apikey_key, apikeys_key, email_key, project_key, projects_key, user_key
from nimbus_tasks.model.records import ApiKeyRecord, ApiKeyUsage, EmailRecord, UserRecord
from nimbus_tasks.model.suggest import closest
from nimbus_tasks.project.init import project_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Settings

PREFIX = "sk_live_"
#: Digits of a hash that are shown, and are enough to name a key.
SHOWN_DIGITS = 8
LONGEST_NAME = 64
_USER = re.compile(r"user_[0-9A-Za-z_-]{1,64}")
#: Catches typing errors; only sending mail would show whether the address works.
_EMAIL = re.compile(r"[^\s@:]{1,64}@[^\s@:]{1,190}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class KeyOptions(Struct, frozen=True):
    """The options of a new key.

    user: its owner if the project has none yet; empty: a new user. content: it only reads pages by their address.
    """

    name: str
    user: str = ""
    email: str = ""
    content: bool = False

    def check(self) -> None:
        """Check the options before the target is asked.

        Raises:
            SettingsError: names the wrong option.
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


class NewKey(Struct, frozen=True):
    """A key that was just created."""

    key: Secret
    hash: str
    name: str
    user_id: str
    created: str


class ShownKey(Struct, frozen=True):
    """A new API key, this once. hash: what the target stores of it."""

    key: str
    hash: str
    name: str
    user_id: str
    created: str


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


class Revoked(Struct, frozen=True):
    """A key that is no longer accepted. already: it was revoked before."""

    key: KnownKey
    already: bool


def new_user() -> str:
    return f"user_{secrets.token_hex(6)}"


def new_key() -> str:
    return f"{PREFIX}{secrets.token_hex(16)}"


async def create(store: Store, settings: Settings, options: KeyOptions, key: Secret, moment: str) -> NewKey:
    """Store a new key at the target.

    Raises:
        SettingsError: the options contradict what the target holds.
        StoreError: the target does not store it; then the key does not work.
    """
    project = settings.project.id
    owner = await find_owner(store, project)
    if owner and options.user and options.user != owner:
        raise SettingsError(f"{project} belongs to {owner}, not to {options.user}.", "Leave out --user.")
    user = owner or options.user or new_user()
    known = await _check_new(store, user, options)
    # All checks are done before the first write.
    if not owner:
        # Written first: if a later write fails, the next attempt finds this owner and creates no second one.
        await _put(store, project_key(project), project_record(settings, user))
    await _put_user(store, user, options.email, moment)
    await _add(store, projects_key(user), [project])
    return await _put_key(store, user, known, options, key, moment)


async def create_for(store: Store, user: str, options: KeyOptions, key: Secret, moment: str) -> NewKey:
    """Store a new key of a user, who is made where the store does not know them. There are no projects.

    Raises:
        SettingsError: the options contradict what the store holds.
        StoreError: the store does not take it; then the key does not work.
    """
    known = await _check_new(store, user, options)
    await _put_user(store, user, options.email, moment)
    return await _put_key(store, user, known, options, key, moment)


async def _check_new(store: Store, user: str, options: KeyOptions) -> list[KnownKey]:
    """Return the user's keys, none of which is active under the new one's name."""
    known = await _keys_of(store, user)
    if any(each.active and each.name == options.name for each in known):
        raise SettingsError(
            f"{user} has an active key named {options.name} already.",
            f"Choose another name, or first: doit nimbus:key:revoke --name={options.name}",
        )
    await _check_email(store, options.email, user)
    return known


async def _put_key(
    store: Store, user: str, known: list[KnownKey], options: KeyOptions, key: Secret, moment: str
) -> NewKey:
    hashed = apikey_hash(key.reveal())
    await _add(store, apikeys_key(user), [*(each.hash for each in known), hashed])
    record = ApiKeyRecord(user, moment, active=True, name=options.name, usage=ApiKeyUsage())
    if options.content:
        record.scope = "content"
    await _put(store, apikey_key(hashed), record)
    return NewKey(key, hashed, options.name, user, moment)


async def user_of_email(store: Store, email: str) -> str:
    """Return the user with this address; empty where there is none."""
    holder = await read_one(store, email_key(email), _Owned)
    return str(holder.user_id) if holder else ""


async def keys_of_user(store: Store, user: str) -> ListedKeys:
    return ListedKeys(user, await _keys_of(store, user))


async def keys_of_owner(store: Store, project: str) -> ListedKeys:
    owner = await find_owner(store, project)
    return ListedKeys(owner, await _keys_of(store, owner) if owner else [])


async def revoke(store: Store, project: str, name: str, hashed: str) -> Revoked:
    """Revoke a key, by its name or by (the beginning of) its hash.

    Raises:
        SettingsError: no key matches, or more than one.
        StoreError: the target does not store the change; then the key still works.
    """
    return await revoke_among(store, await keys_of_owner(store, project), name, hashed)


async def revoke_among(store: Store, found: ListedKeys, name: str, hashed: str) -> Revoked:
    """Revoke one of these keys, as `revoke` does."""
    key = _by_name(found, name) if name else _by_hash(found, hashed)
    if not key.active:
        return Revoked(key, already=True)
    at = apikey_key(key.hash)
    # Fields that other programs wrote into the record stay.
    record = await read_one(store, at, dict[str, Any]) or {}
    await _put(store, at, record | {"active": False})
    return Revoked(msgspec.structs.replace(key, active=False), already=False)


async def find_owner(store: Store, project: str) -> str:
    """Return the user who owns the project at the target, empty if there is none yet."""
    key = project_key(project)
    record = await read_one(store, key, _Owned)
    if record is None:
        return ""
    if not record.user_id or not isinstance(record.user_id, str):
        raise StoreError(f"{key} at the target names no user_id.", "Fix that record: no key could reach the project.")
    return record.user_id


class _Owned(Struct):
    user_id: Any = ""  # not read leniently: the gateway takes nothing else than a text for a user


class _Known(Struct):
    """The fields we need of an `apikey:` record of any program.

    Without `active` a key is not accepted. Anything else than false may be accepted by other gateways than ours.
    """

    user_id: str = ""
    created: str = ""
    active: Any = False
    name: str = ""
    usage: ApiKeyUsage = field(default_factory=ApiKeyUsage)
    last_used: str | UnsetType = UNSET
    scope: str = ""


async def _keys_of(store: Store, user: str) -> list[KnownKey]:
    listed = await read_one(store, apikeys_key(user), list[Any]) or []
    prefix = apikey_key("")
    if store.traits.lists:
        listed += [name.key.removeprefix(prefix) async for name in all_names(store, prefix + "sha256:")]
    hashes = {hashed for hashed in listed if isinstance(hashed, str) and _HASH.fullmatch(hashed)}
    found_records = await read_many(store, [prefix + hashed for hashed in sorted(hashes)], _Known)
    known = [
        _known(key.removeprefix(prefix), record) for key, record in found_records.items() if record.user_id == user
    ]
    return sorted(known, key=lambda each: (each.created, each.hash))


def _known(hashed: str, record: _Known) -> KnownKey:
    usage = record.usage
    if not record.last_used or record.last_used[:10] != now()[:10]:
        # The counts of a day stay in the record until the next use.
        usage = ApiKeyUsage(0, usage.requests_total)
    last_used, scope = record.last_used or UNSET, record.scope or UNSET
    return KnownKey(record.name, hashed, record.created, bool(record.active), usage, last_used, scope)


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


async def _check_email(store: Store, email: str, user: str) -> None:
    holder = await read_one(store, email_key(email), _Owned) if email else None
    if holder is not None and holder.user_id != user:
        raise SettingsError(f"{email} is the address of another user, {holder.user_id}.", "Leave out --email.")


async def _put_user(store: Store, user: str, email: str, moment: str) -> None:
    """Store the user's records where they are missing."""
    key = user_key(user)
    known = await read_one(store, key, dict[str, Any])
    if known is None:
        await _put(store, key, UserRecord(user, email, moment))
    elif email and not known.get("email"):
        await _put(store, key, known | {"email": email})
    if email and await read_one(store, email_key(email), _Owned) is None:
        await _put(store, email_key(email), EmailRecord(user, moment))


async def _add(store: Store, key: str, entries: list[str]) -> None:
    """Add the entries that a list at the target does not have."""
    there = await read_one(store, key, list[Any]) or []
    missing = [entry for entry in entries if entry not in there]
    if missing:
        await _put(store, key, [*there, *missing])


async def _put(store: Store, key: str, record: object) -> None:
    stored = await store.put([Write(key, msgspec.json.encode(record))])
    if key not in stored.confirmed:
        reason = stored.failed.get(key, "it gave no reason")
        raise StoreError(f"The target did not store {key}: {reason.rstrip('.')}.", "Run the same command again.")
