"""A user's own API keys: list, create, revoke. How keys are stored: `gateway/keys.py`.

To create or revoke one takes a session, and a key that is created here opens none unless it is said to: a program's key
that leaks is of no use for either.
"""

from __future__ import annotations

from typing import Any

from litestar import delete, get, post
from msgspec import UNSET, Struct

from nimbus_tasks.gateway.key_options import KeyOptions, KnownKey
from nimbus_tasks.gateway.keys import create_for, keys_of_user, new_key, revoke_among
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.server.errors import ApiError, invalid, not_found
from nimbus_tasks.server.lookups import User
from nimbus_tasks.server.rate_limit import KEYS, limit
from nimbus_tasks.server.service import Service


class KeyEntry(Struct, rename="camel"):
    """A key as its user sees it.

    requests: so far, counted once a minute. own: the key of this request, or the one that its session was opened with.
    scope: `program`: it opens no session; `content`: it only reads pages; empty: it may do everything.
    """

    name: str
    hash: str
    created: str
    last_used: str | None
    requests: int
    active: bool
    scope: str
    own: bool


class KeyList(Struct):
    """The user's keys, oldest first."""

    keys: list[KeyEntry]


class KeyToCreate(Struct):
    """login: whether the key may open sessions, in which its holder could create and revoke keys."""

    name: str
    login: bool = False


class CreatedKey(Struct):
    """A new key. This answer is the only one that has the key itself."""

    key: str
    hash: str
    name: str
    created: str


@get("/api/keys")
async def list_keys(service: Service, user: User) -> KeyList:
    """List the user's API keys, revoked ones too."""
    found = await keys_of_user(service.records, user.id)
    return KeyList([_entry(each, user) for each in found.keys])


@post("/api/keys", status_code=201)
async def create_key(service: Service, user: User, data: KeyToCreate) -> CreatedKey:
    """Create an API key of the user."""
    _check_session(user)
    options = KeyOptions(data.name, program=not data.login)
    try:
        options.check()
    except SettingsError as error:
        raise invalid(error.message) from None
    await limit(service.buckets, f"keys:{user.id}", KEYS, "new keys")
    try:
        made = await create_for(service.records, user.id, options, Secret(new_key()), now())
    except SettingsError as error:
        raise invalid(error.message, 409) from None
    service.log.event("info", "key created", user_id=user.id, key_hash=made.hash, by_key=user.key)
    return CreatedKey(made.key.reveal(), made.hash, made.name, made.created)


@delete("/api/keys/{key_hash:str}", status_code=204)
async def revoke_key(service: Service, user: User, key_hash: str) -> None:
    """Revoke a key of the user, and end the sessions that it opened. It may be revoked already."""
    _check_session(user)
    found = await keys_of_user(service.records, user.id)
    if not any(each.hash == key_hash for each in found.keys):
        raise not_found("key")
    revoked = await revoke_among(service.records, found, "", key_hash)
    service.lookups.forget_key(key_hash)
    if not revoked.already:
        service.log.event("info", "key revoked", user_id=user.id, key_hash=key_hash, by_key=user.key)


def _entry(key: KnownKey, user: User) -> KeyEntry:
    return KeyEntry(
        name=key.name,
        hash=key.hash,
        created=key.created,
        last_used=None if key.last_used is UNSET else key.last_used,
        requests=key.usage.requests_total,
        active=key.active,
        scope="" if key.scope is UNSET else key.scope,
        own=key.hash == user.key,
    )


def _check_session(user: User) -> None:
    """Check that a request that changes keys comes from a session.

    Raises:
        ApiError: it comes from an API key.
    """
    if not user.session:
        raise ApiError(403, "auth", "An API key cannot create or revoke keys: log in, and use the page /keys")


ROUTES: list[Any] = [list_keys, create_key, revoke_key]
