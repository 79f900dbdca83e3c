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
from nimbus_tasks.gateway.key_options import PREFIX, KeyOptions, KnownKey, ListedKeys, choose
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError, StoreError
from nimbus_tasks.model.keys import apikey_hash, apikey_key, apikeys_key, email_key, project_key, projects_key, user_key
from nimbus_tasks.model.records import ApiKeyRecord, ApiKeyUsage, EmailRecord, UserRecord
from nimbus_tasks.project.init import project_record

if TYPE_CHECKING:
    from nimbus_tasks.backends.kv import Store
    from nimbus_tasks.project.secrets import Secret
    from nimbus_tasks.project.settings import Settings

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


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
    elif options.program:
        record.scope = "program"
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
    key = choose(found, name, hashed)
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
