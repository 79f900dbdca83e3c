"""API keys at a target that fails, lags, or holds what others wrote."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from backends.kv.memory import MemoryStore
from msgspec import UNSET

from nimbus_tasks.backends.kv import Traits
from nimbus_tasks.gateway import keys
from nimbus_tasks.gateway.key_options import KeyOptions, KnownKey
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import NimbusError, SettingsError, StoreError
from nimbus_tasks.model.keys import apikey_hash
from nimbus_tasks.project import settings
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

PROJECT = "proj_0123456789ab"
SETTINGS = settings.parse(f'[project]\nid = "{PROJECT}"\n', {})
MOMENT = "2026-01-02T03:04:05.678Z"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def create(store: MemoryStore, name: str = "ci", user: str = "", email: str = "", key: str = "") -> keys.NewKey:
    return run(keys.create(store, SETTINGS, KeyOptions(name, user, email), Secret(key or keys.new_key()), MOMENT))


def revoke(store: MemoryStore, name: str = "", hashed: str = "") -> keys.Revoked:
    return run(keys.revoke(store, PROJECT, name, hashed))


def known(store: MemoryStore) -> list[KnownKey]:
    return run(keys.keys_of_owner(store, PROJECT)).keys


def put(store: MemoryStore, key: str, record: object) -> None:
    store.values[key], store.metadata[key] = json.dumps(record).encode(), b""


def at(store: MemoryStore, key: str) -> Any:
    return json.loads(store.values[key])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_what_lets_the_key_in_is_stored_last(store: MemoryStore) -> None:
    made = create(store, email="ann@example.com")
    puts = [names for call, names in store.calls if call == "put"]
    assert puts[-1] == [f"apikey:{made.hash}"]
    assert puts[0] == [f"project:{PROJECT}"]
    assert len(puts) == len(store.values) == 6


def test_a_key_is_random_and_its_hash_is_that_of_the_key(store: MemoryStore) -> None:
    assert keys.new_key() != keys.new_key()
    assert create(store, key="sk_live_" + "0" * 32).hash == apikey_hash("sk_live_" + "0" * 32)
    assert "sk_live_" not in repr(create(store, name="other"))


@pytest.mark.parametrize("call", range(1, 16))
def test_whatever_fails_a_key_works_only_when_it_was_shown_and_the_next_try_makes_one(call: int) -> None:
    store = MemoryStore()
    store.fail_at = call
    shown: list[keys.NewKey] = []
    try:
        shown.append(create(store, email="ann@example.com"))
    except StoreError:
        assert not any(key.startswith("apikey:") for key in store.values)
    store.fail_at = 0
    first_owner = json.loads(store.values.get(f"project:{PROJECT}", b"{}")).get("user_id")
    if not shown:
        shown.append(create(store, email="ann@example.com"))
    assert [key.hash for key in known(store)] == [shown[0].hash]
    assert first_owner in (None, shown[0].user_id)
    assert [key for key in store.values if key.startswith("user:")] == [f"user:{shown[0].user_id}"]


def test_a_refused_write_is_told_and_no_key_works(store: MemoryStore) -> None:
    store.refuse["projects:user_ann"] = "the daily quota is spent."
    with pytest.raises(StoreError, match=r"did not store projects:user_ann: the daily quota is spent\. Run the same"):
        create(store, user="user_ann")
    assert known(store) == []


def test_what_is_there_already_stays(store: MemoryStore) -> None:
    put(store, f"project:{PROJECT}", {"user_id": "user_ann", "name": "old"})
    put(store, "user:user_ann", {"user_id": "user_ann", "email": "old@example.com", "created": "t", "plan": "pro"})
    put(store, "projects:user_ann", ["proj_other", PROJECT])
    put(store, "apikeys:user_ann", ["sha256:gone"])
    before = dict(store.values)
    made = create(store, email="new@example.com")
    changed = {key for key in store.values if store.values[key] != before.get(key)}
    assert changed == {"apikeys:user_ann", "email:new@example.com", f"apikey:{made.hash}"}
    assert at(store, "apikeys:user_ann") == ["sha256:gone", made.hash]


def test_a_user_without_an_address_gets_one(store: MemoryStore) -> None:
    put(store, "user:user_ann", {"user_id": "user_ann", "email": "", "created": "t", "plan": "pro"})
    create(store, user="user_ann", email="ann@example.com")
    user = {"user_id": "user_ann", "email": "ann@example.com", "created": "t", "plan": "pro"}
    assert at(store, "user:user_ann") == user


def test_the_address_of_another_user_is_refused_before_anything_is_written(store: MemoryStore) -> None:
    put(store, "email:ann@example.com", {"user_id": "user_ann"})
    before = dict(store.values)
    with pytest.raises(SettingsError, match="another user, user_ann"):
        create(store, user="user_ben", email="ann@example.com")
    assert store.values == before


def test_a_key_that_the_users_list_has_lost_is_found_by_the_listing_and_listed_again(store: MemoryStore) -> None:
    """As KV may show the list of a minute ago to who adds to it."""
    lost = create(store, "lost")
    put(store, f"apikeys:{lost.user_id}", [])
    assert [key.name for key in known(store)] == ["lost"]
    with pytest.raises(SettingsError, match="active key named lost already"):
        create(store, "lost")
    made = create(store, "next")
    assert at(store, f"apikeys:{lost.user_id}") == [lost.hash, made.hash]
    assert not revoke(store, "lost").already


def test_where_nothing_can_be_listed_the_users_list_is_believed() -> None:
    store = MemoryStore(traits=Traits(lists=False))
    hashes = {create(store, f"key {number}").hash for number in range(7)}  # more than one get takes
    assert {key.hash for key in known(store)} == hashes
    assert not any(call == "names" for call, _ in store.calls)


def test_keys_of_other_users_and_what_is_no_key_are_not_shown(store: MemoryStore) -> None:
    mine = create(store)
    put(store, f"apikey:{apikey_hash('other')}", {"user_id": "user_other", "active": True, "name": "ci"})
    put(store, f"apikeys:{mine.user_id}", [mine.hash, "sha256:short", 7, None, apikey_hash("gone")])
    put(store, "apikey:sha256:zz", {"user_id": mine.user_id})
    assert [key.hash for key in known(store)] == [mine.hash]


def test_a_revoked_record_keeps_what_others_wrote_into_it(store: MemoryStore) -> None:
    made = create(store)
    key = f"apikey:{made.hash}"
    put(store, key, at(store, key) | {"last_used": "2026-02-01T00:00:00.000Z", "note": "x"})
    before = at(store, key)
    done = revoke(store, hashed=made.hash)
    assert (done.key.active, done.already) == (False, False)
    assert at(store, key) == before | {"active": False}


def test_of_keys_with_one_name_the_active_one_is_revoked(store: MemoryStore) -> None:
    old = create(store)
    revoke(store, "ci")
    new = create(store)
    assert revoke(store, "ci").key.hash == new.hash
    assert revoke(store, "ci").already
    assert {key.hash: key.active for key in known(store)} == {old.hash: False, new.hash: False}


def test_a_hash_that_begins_several_keys_is_refused(store: MemoryStore) -> None:
    made = create(store)
    twin = made.hash[:-1] + ("0" if made.hash[-1] != "0" else "1")
    put(store, f"apikey:{twin}", {"user_id": made.user_id, "active": True, "name": "twin"})
    with pytest.raises(SettingsError, match="2 keys have a hash that begins with"):
        revoke(store, hashed=made.hash[:20])
    assert revoke(store, hashed=twin).key.name == "twin"


@pytest.mark.parametrize("record", [{}, {"active": None}, {"active": False}, {"active": 0}], ids=str)
def test_a_key_that_no_gateway_accepts_counts_as_revoked(store: MemoryStore, record: dict[str, object]) -> None:
    put(store, f"project:{PROJECT}", {"user_id": "user_ann"})
    put(store, f"apikey:{apikey_hash('x')}", {"user_id": "user_ann", "name": "ci"} | record)
    before = dict(store.values)
    assert revoke(store, "ci").already
    assert store.values == before


@pytest.mark.parametrize("active", [1, "true", "yes"])
def test_a_key_that_another_gateway_may_accept_can_be_revoked(store: MemoryStore, active: object) -> None:
    put(store, f"project:{PROJECT}", {"user_id": "user_ann"})
    put(store, f"apikey:{apikey_hash('x')}", {"user_id": "user_ann", "name": "ci", "active": active})
    assert [key.active for key in known(store)] == [True]
    assert not revoke(store, "ci").already
    assert at(store, f"apikey:{apikey_hash('x')}")["active"] is False


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, (UNSET, 0, 0)),
        ({"last_used": None, "usage": None}, (UNSET, 0, 0)),
        ({"last_used": f"{now()[:10]}T00:00:00.000Z", "usage": {"requests_today": 3.0, "requests_total": "9"}}, (3, 9)),
        (
            {"last_used": "2026-02-01T23:59:59.999Z", "usage": {"requests_today": 3, "requests_total": 9, "x": 1}},
            (0, 9),
        ),
    ],
    ids=["unused", "nulls", "today", "long ago"],
)
def test_the_use_of_a_key_is_shown_as_far_as_it_is_of_today(
    store: MemoryStore, fields: dict[str, object], shown: tuple[object, ...]
) -> None:
    put(store, f"project:{PROJECT}", {"user_id": "user_ann"})
    put(store, f"apikey:{apikey_hash('x')}", {"user_id": "user_ann", "name": "ci", "active": True} | fields)
    (key,) = known(store)
    used = (key.last_used, key.usage.requests_today, key.usage.requests_total)
    assert used == (shown if len(shown) == 3 else (fields["last_used"], *shown))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"project:{PROJECT}", b"{"),
        (f"project:{PROJECT}", b"\xff"),
        (f"project:{PROJECT}", b'{"user_id": 7}'),
        (f"project:{PROJECT}", b'{"name": "nobody owns it"}'),
        ("apikeys:user_ann", b'{"a": 1}'),
        ("projects:user_ann", b'"proj"'),
        ("user:user_ann", b"[]"),
    ],
)
def test_what_is_not_a_record_is_named_and_no_key_works(store: MemoryStore, key: str, value: bytes) -> None:
    store.values[key], store.metadata[key] = value, b""
    with pytest.raises(NimbusError) as caught:
        create(store, user="user_ann")
    assert key in str(caught.value)
    assert not any(name.startswith("apikey:") for name in store.values)
    assert store.values[key] == value
