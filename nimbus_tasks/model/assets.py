"""The records of files: what is stored where (`asset:`), and which one is the latest of its kind (pointers).

A pointer's key, `{group}:{variant}:latest`, has no kind: the group is any name that is not a kind of record.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.keys import NAMESPACES, NamespaceName
from nimbus_tasks.model.records import Name, Shape

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_SUFFIX = ":latest"
#: First parts of keys that no group may have: the kinds of records, and the gateway's own.
RESERVED = frozenset({*NAMESPACES, "store"})


class AssetCopy(Shape, omit_defaults=True):
    """A narrower copy of a picture, in the same blob store. url, cid, ipfs_url: where it can be read."""

    width: int
    height: int
    size: int
    content_type: str
    sha256: Name
    url: str
    cid: str | UnsetType = UNSET
    ipfs_url: str | UnsetType = UNSET


class AssetLocation(Shape, omit_defaults=True):
    """Where a blob store holds a file.

    url: where it can be read, if the store knows. cid, ipfs_url: of IPFS. id, group_id, etag: the store's own names.
    verified: how its bytes were compared: `checksum`, `cid PROFILE` or `read back`.
    copies: narrower ones, smallest first.
    """

    url: str
    uploaded: str
    verified: str
    cid: str | UnsetType = UNSET
    ipfs_url: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    etag: str | UnsetType = UNSET
    copies: list[AssetCopy] | UnsetType = UNSET


class AssetRecord(Shape, omit_defaults=True):
    """`asset:{project_id}:{sha256}`: a file of a project.

    source_paths: where it was found. locations: name of a blob store -> where that holds it. original: digest of the
    picture that it is a copy of, in fewer bytes.
    """

    sha256: Name
    size: int
    content_type: str
    created: str
    source_paths: list[str]
    locations: dict[str, AssetLocation]
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    original: Name | UnsetType = UNSET

    def merged(self, held: AssetRecord | None) -> AssetRecord:
        """Return this record with the paths and locations of an earlier one of the same file."""
        if held is None:
            return self
        return msgspec.structs.replace(
            self,
            created=held.created or self.created,
            source_paths=list(dict.fromkeys([*held.source_paths, *self.source_paths])),
            locations=held.locations | self.locations,
            width=held.width if self.width is UNSET else self.width,
            height=held.height if self.height is UNSET else self.height,
        )


class AssetMetadata(msgspec.Struct):
    """KV metadata of an `asset:` key."""

    size: int
    content_type: str


class Pointer(Shape, omit_defaults=True):
    """`{group}:{variant}:latest`: the latest file of a group and a variant.

    updated_at: when its upload began, in seconds since 1970, as text. ipfs_url: `ipfs://CID`; url: where the blob store
    is not IPFS.
    """

    updated_at: str
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    ipfs_url: str | UnsetType = UNSET
    url: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.address:
            raise ValueError("it has neither ipfs_url nor url")

    @property
    def address(self) -> str:
        """Where the file is: `ipfs://CID` or its URL."""
        return self.ipfs_url or self.url or ""

    @property
    def time(self) -> int:
        """The seconds of `updated_at`; 0 if it says none, so that any upload is later."""
        try:
            seconds = float(self.updated_at)
        except ValueError:
            return 0
        return int(seconds) if math.isfinite(seconds) else 0


def asset_key(project_id: str, sha256: str) -> str:
    return f"asset:{project_id}:{sha256}"


def asset_prefix(project_id: str) -> str:
    return f"asset:{project_id}:"


def pointer_key(group: str, variant: str) -> str:
    """Return the key of a pointer.

    Raises:
        SettingsError: a name is invalid, or the group is a kind of record.
    """
    check_group(group)
    _check_name("variant", variant)
    return f"{group}:{variant}{_SUFFIX}"


def check_group(group: str) -> None:
    """Check a group's name.

    Raises:
        SettingsError: it is invalid, or a kind of record.
    """
    _check_name("group", group)
    if group in RESERVED:
        raise SettingsError(f"The group `{group}` is a kind of record.", "Give the pointer another group.")


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        shown = name[:80].encode("unicode_escape").decode()
        raise SettingsError(f"The {what} `{shown}` of a pointer is invalid.", "It takes 1 to 64 of: a-z 0-9 _ -")


def names_of_pointer(key: str) -> tuple[str, str] | None:
    """Return the group and the variant of a pointer's key; None for any other key."""
    group, _, variant = key.removesuffix(_SUFFIX).partition(":")
    is_one = key.endswith(_SUFFIX) and _NAME.fullmatch(group) and _NAME.fullmatch(variant) and group not in RESERVED
    return (group, variant) if is_one else None


def namespace_of(key: str) -> NamespaceName | None:
    """Return the namespace of a key; None: it has none of its own."""
    kind = key.partition(":")[0]
    return NAMESPACES.get(kind) or ("NIMBUS_POINTERS" if names_of_pointer(key) else None)


def namespace_of_names(prefix: str) -> NamespaceName:
    """Return the namespace of a listing: a prefix without a kind of record is one of pointers."""
    return NAMESPACES.get(prefix.partition(":")[0], "NIMBUS_POINTERS")
