"""The records of files, and the keys of pointers."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from nimbus_tasks.model import lenient
from nimbus_tasks.model.assets import (
    RESERVED,
    AssetLocation,
    AssetRecord,
    Pointer,
    asset_key,
    asset_prefix,
    names_of_pointer,
    namespace_of,
    namespace_of_names,
    pointer_key,
)
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import NAMESPACES, ids_of

NAME = "[a-z0-9_-]{1,64}"
NAMES = st.from_regex(NAME, fullmatch=True)
IPFS = AssetLocation("https://gateway/ipfs/bafk", "2026-11-29T12:00:00.000Z", "cid v1", "bafk", "ipfs://bafk")
FOLDER = AssetLocation("", "2026-11-30T12:00:00.000Z", "read back")


# --- keys ---------------------------------------------------------------------------------------------


def test_keys_of_files_are_those_of_the_contract() -> None:
    assert asset_key("proj_1", "ab") == "asset:proj_1:ab"
    assert asset_key("proj_1", "ab").startswith(asset_prefix("proj_1"))
    assert ids_of("asset:proj_1:ab") == {"sha256": "ab"}
    assert pointer_key("temperature", "daily") == "temperature:daily:latest"


@given(NAMES, NAMES)
def test_a_pointers_key_tells_its_names(group: str, variant: str) -> None:
    if group in RESERVED:
        assert names_of_pointer(f"{group}:{variant}:latest") is None
        return
    key = pointer_key(group, variant)
    assert names_of_pointer(key) == (group, variant)
    assert namespace_of(key) == namespace_of_names(f"{group}:") == "NIMBUS_POINTERS"


@given(st.text(), st.text())
def test_other_names_are_refused_in_one_line(group: str, variant: str) -> None:
    if re.fullmatch(NAME, group) and re.fullmatch(NAME, variant):
        return
    with pytest.raises(SettingsError) as raised:
        pointer_key(group, variant)
    assert str(raised.value).isprintable()
    assert names_of_pointer(f"{group}:{variant}:latest") is None


@pytest.mark.parametrize("kind", [*NAMESPACES, "store"])
def test_no_group_is_a_kind_of_record(kind: str) -> None:
    with pytest.raises(SettingsError, match=f"The group `{kind}` is a kind of record"):
        pointer_key(kind, "daily")
    assert namespace_of(f"{kind}:daily:latest") == NAMESPACES.get(kind)


@pytest.mark.parametrize("key", ["", "latest", ":latest", "a:latest", "a:b:c:latest", "a:b:latest ", "A:b:latest"])
def test_other_keys_have_no_namespace_of_their_own(key: str) -> None:
    assert namespace_of(key) is None


def test_a_listing_without_a_kind_is_one_of_pointers() -> None:
    assert namespace_of_names("asset:proj_1:") == "NIMBUS_ASSETS"
    assert namespace_of_names("temperature:") == namespace_of_names("") == "NIMBUS_POINTERS"


# --- what is stored where -----------------------------------------------------------------------------


def of_file(path: str, location: AssetLocation, created: str = "", **more: int) -> AssetRecord:
    return AssetRecord("ab", 3, "image/png", created, [path], {location.verified: location}, **more)


def test_a_record_keeps_what_was_known_of_the_file() -> None:
    first = of_file("a.png", IPFS, "2026-11-29T12:00:00.000Z", width=4, height=3)
    assert first.merged(None) is first
    merged = of_file("b.png", FOLDER, "2026-11-30T12:00:00.000Z").merged(first)
    assert merged.source_paths == ["a.png", "b.png"]
    assert merged.locations == {"cid v1": IPFS, "read back": FOLDER}
    assert (merged.created, merged.width, merged.height) == ("2026-11-29T12:00:00.000Z", 4, 3)
    assert of_file("a.png", IPFS, width=5, height=6).merged(merged).width == 5
    assert of_file("a.png", IPFS).merged(of_file("a.png", IPFS)) == of_file("a.png", IPFS)


def test_a_record_of_another_program_is_read_as_far_as_it_goes() -> None:
    value = b"""{"size": 3.0, "content_type": null, "note": "kept", "width": null,
        "locations": {"pinata": {"url": "u", "cid": "bafk", "verified": true}, "bad": 7}}"""
    reading = lenient.read(value, AssetRecord, ids_of("asset:proj_1:ab"))
    assert reading.record == AssetRecord("ab", 3, "", "", [], {"pinata": AssetLocation("u", "", "", "bafk")})
    assert len(reading.skipped) == 1
    written = msgspec.json.decode(lenient.rewrite(value, of_file("a", FOLDER).merged(reading.record), {"sha256": "ab"}))
    assert written["note"] == "kept"
    assert written["locations"]["bad"] == 7


# --- pointers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updated_at", "time"),
    [
        ('"1732838400"', 1732838400),
        ("1732838400", 1732838400),
        ('"1732838400.75"', 1732838400),
        ('""', 0),
        ('"soon"', 0),
        ('"inf"', 0),
        ("null", 0),
    ],
)
def test_a_pointer_of_another_program_has_the_time_that_it_says(updated_at: str, time: int) -> None:
    value = f'{{"ipfs_url": "ipfs://bafk", "updated_at": {updated_at}, "extra": 1}}'.encode()
    pointer = lenient.read(value, Pointer).record
    assert (pointer.address, pointer.time, pointer.metadata) == ("ipfs://bafk", time, {})


def test_a_pointer_names_ipfs_or_an_address() -> None:
    assert Pointer("1", ipfs_url="ipfs://bafk", url="https://x").address == "ipfs://bafk"
    assert Pointer("1", url="https://x").address == "https://x"
    with pytest.raises(ValueError, match="neither"):
        Pointer("1")
    for value in (b'{"updated_at": "1"}', b'{"updated_at": "1", "url": ""}', b"[]", b"null", b"7"):
        with pytest.raises(lenient.MisfitError):
            lenient.read(value, Pointer)


def test_what_a_pointer_does_not_say_is_left_out() -> None:
    assert msgspec.json.encode(Pointer("1", url="u")) == b'{"updated_at":"1","url":"u"}'
    assert msgspec.json.decode(msgspec.json.encode(of_file("a", FOLDER))).keys() == {
        "sha256", "size", "content_type", "created", "source_paths", "locations"
    }  # fmt: skip
    assert Pointer("1", url="u").ipfs_url is UNSET
