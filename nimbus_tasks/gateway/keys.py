"""API keys at a target: made, listed and revoked. A key is seen once, by who makes it; the target has its hash.

What is read may be a minute old (KV), so nothing here relies on the list of a user's keys alone: where the target can
list names, a key that the list has lost is still found, and so can be revoked.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from nimbus_tasks.backends.kv import Write, all_names
from nimbus_tasks.gateway.key_options import SHOWN_DIGITS
from nimbus_tasks.model import records
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.records import ApiKeyRecord, ApiKeyUsage, EmailRecord, UserRecord
from nimbus_tasks.model.suggest import closest
from nimbus_tasks.project.init import project_key, project_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.gateway.key_options import Wish
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Settings

T = TypeVar("T")

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class NewKey(Struct, frozen=True):
    """A key that works from now on."""

    key: Secret
    hash: str
    name: str
    user_id: str
    created: str


class KnownKey(Struct, frozen=True):
    """What the target knows of a key."""

    name: str
    hash: str
    created: str
    active: bool

    @property
    def short(self) -> str:
        return self.hash.removeprefix("sha256:")[:SHOWN_DIGITS]


class Revoked(Struct, frozen=True):
    """A key that lets nobody in any more. `already`: it did not before."""

    key: KnownKey
    already: bool


async def create(store: Store, settings: Settings, wish: Wish, key: Secret, moment: str) -> NewKey:
    """Make a key work at the target.

    Raises:
        SettingsError: what is asked for contradicts what the target holds.
        StoreError: the target does not take it; then the key does not work.
    """
    project = settings.project.id
    owner = await find_owner(store, project)
    if owner and wish.user and wish.user != owner:
        raise SettingsError(f"{project} belongs to {owner}, not to {wish.user}.", "Leave out --user.")
    user = owner or wish.user or f"user_{secrets.token_hex(6)}"
    known = await _keys_of(store, user)
    if any(each.active and each.name == wish.name for each in known):
        raise SettingsError(
            f"{user} has an active key named {wish.name} already.",
            f"Choose another name, or first: doit nimbus:key:revoke --name={wish.name}",
        )
    await _check_email(store, wish.email, user)
    hashed = records.apikey_hash(key.reveal())
    # Nothing is written before all is known to fit together.
    if not owner:
        # First: should a later write fail, the next try finds this owner, and makes no second one.
        await _put(store, project_key(settings), project_record(settings, user))
    await _introduce(store, user, wish.email, moment)
    await _add(store, records.projects_key(user), [project])
    await _add(store, records.apikeys_key(user), [*(each.hash for each in known), hashed])
    record = ApiKeyRecord(user, moment, active=True, name=wish.name, usage=ApiKeyUsage())
    await _put(store, records.apikey_key(hashed), record)
    return NewKey(key, hashed, wish.name, user, moment)


async def keys_of_owner(store: Store, project: str) -> tuple[str, list[KnownKey]]:
    """Return the owner of a project, empty where it has none, and the owner's keys, oldest first."""
    owner = await find_owner(store, project)
    return owner, await _keys_of(store, owner) if owner else []


async def revoke(store: Store, project: str, name: str, hashed: str) -> Revoked:
    """Shut a key out, by its name or by (the beginning of) its hash.

    Raises:
        SettingsError: there is no such key, or more than one.
        StoreError: the target does not take it; then the key still works.
    """
    owner, known = await keys_of_owner(store, project)
    key = _named(known, name, owner) if name else _hashed(known, hashed, owner)
    if not key.active:
        return Revoked(key, already=True)
    at = records.apikey_key(key.hash)
    # All that others have written into the record stays.
    record = await _read(store, at, dict[str, Any]) or {}
    await _put(store, at, record | {"active": False})
    return Revoked(msgspec.structs.replace(key, active=False), already=False)


async def find_owner(store: Store, project: str) -> str:
    """Return whose project this is at the target, empty where it is nobody's yet."""
    key = records.project_key(project)
    record = await _read(store, key, _Owned)
    if record is not None and not record.user_id:
        raise StoreError(f"{key} at the target names no user_id.", "Mend that record: no key could reach the project.")
    return record.user_id if record is not None else ""


class _Owned(Struct):
    user_id: str = ""


async def _keys_of(store: Store, user: str) -> list[KnownKey]:
    listed = await _read(store, records.apikeys_key(user), list[Any]) or []
    hashes = {hashed for hashed in listed if isinstance(hashed, str) and _HASH.fullmatch(hashed)}
    if store.traits.lists:
        prefix = records.apikey_key("")
        names = [found.key.removeprefix(prefix) async for found in all_names(store, prefix + "sha256:")]
        hashes |= {hashed for hashed in names if _HASH.fullmatch(hashed)}
    keys = [records.apikey_key(hashed) for hashed in sorted(hashes)]
    known: list[KnownKey] = []
    for at in range(0, len(keys), store.limits.keys):
        for key, value in (await store.get(keys[at : at + store.limits.keys])).items():
            record = _decode(key, value, _Known)
            if record.user_id == user:
                known.append(KnownKey(record.name, key.removeprefix("apikey:"), record.created, record.active))
    return sorted(known, key=lambda each: (each.created, each.hash))


class _Known(Struct):
    """What we need of an `apikey:` record, whoever wrote it. What is not active for certain lets nobody in."""

    user_id: str = ""
    created: str = ""
    active: bool = False
    name: str = ""


def _named(known: list[KnownKey], name: str, owner: str) -> KnownKey:
    # A name may be given again once its key is revoked: the active one is meant, else the last one.
    named = [key for key in known if key.name == name]
    if not named:
        raise _unknown(f"named {name}", name, [key.name for key in known], owner)
    return next((key for key in named if key.active), named[-1])


def _hashed(known: list[KnownKey], hashed: str, owner: str) -> KnownKey:
    digits = hashed.removeprefix("sha256:")
    found = [key for key in known if key.hash.startswith(f"sha256:{digits}")]
    if not found:
        raise _unknown(f"whose hash begins with {digits}", digits[:SHOWN_DIGITS], [key.short for key in known], owner)
    if len(found) > 1:
        raise SettingsError(f"{len(found)} keys have a hash that begins with {digits}.", "Give more of its digits.")
    return found[0]


def _unknown(which: str, given: str, known: Iterable[str], owner: str) -> SettingsError:
    nearest = closest(given, known)
    hint = f"Closest: {', '.join(nearest)}." if nearest else "There is no key yet: doit nimbus:key:create makes one."
    return SettingsError(f"{owner or 'This project, which has no owner yet,'} has no key {which}.", hint)


async def _check_email(store: Store, email: str, user: str) -> None:
    holder = await _read(store, records.email_key(email), _Owned) if email else None
    if holder is not None and holder.user_id != user:
        raise SettingsError(f"{email} is the address of another user, {holder.user_id}.", "Leave out --email.")


async def _introduce(store: Store, user: str, email: str, moment: str) -> None:
    """Store who a user is, as far as the target does not know it yet."""
    key = records.user_key(user)
    known = await _read(store, key, dict[str, Any])
    if known is None:
        await _put(store, key, UserRecord(user, email, moment))
    elif email and not known.get("email"):
        await _put(store, key, known | {"email": email})
    if email and await _read(store, records.email_key(email), _Owned) is None:
        await _put(store, records.email_key(email), EmailRecord(user, moment))


async def _add(store: Store, key: str, entries: list[str]) -> None:
    """Add to a list at the target what it does not have."""
    there = await _read(store, key, list[Any]) or []
    missing = [entry for entry in entries if entry not in there]
    if missing:
        await _put(store, key, [*there, *missing])


async def _read(store: Store, key: str, shape: type[T]) -> T | None:
    value = (await store.get([key])).get(key)
    return None if value is None else _decode(key, value, shape)


def _decode(key: str, value: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(value, type=shape)
    except msgspec.MsgspecError:
        raise StoreError(f"{key} at the target is not as it should be.", "Something else wrote it: mend it.") from None


async def _put(store: Store, key: str, record: object) -> None:
    stored = await store.put([Write(key, msgspec.json.encode(record))])
    if key not in stored.confirmed:
        why = stored.failed.get(key, "it did not say why")
        raise StoreError(f"The target did not store {key}: {why.rstrip('.')}.", "Run the same command again.")
