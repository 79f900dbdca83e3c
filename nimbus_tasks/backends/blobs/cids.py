"""The content identifiers (CIDs) that IPFS gives a file, computed without IPFS.

A file is cut into chunks. Each chunk is hashed, and nodes that link to the hashes make a tree, whose root is the CID.
How long a chunk is and how many links a node has is not part of a CID, so a service's profile is found by comparison.

Sources: ipfs/specs UNIXFS.md, IPIP-499 (unixfs-v1-2025), multiformats/cid.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHA256 = b"\x12\x20"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
#: UnixFS's number for a file.
_FILE = 2


class Profile(Struct, frozen=True):
    """How a service cuts files.

    chunk: bytes. links: most links of a node. raw: leaves are the bytes themselves, and CIDs are of version 1.
    """

    name: str
    chunk: int
    links: int
    raw: bool = True


PROFILES = (
    Profile("v1-256k", 256 * 1024, 174),
    Profile("unixfs-v1-2025", 1024 * 1024, 1024),
    Profile("v0-256k", 256 * 1024, 174, raw=False),
)


class Cids:
    """Computes the CIDs of one file in each profile, as its bytes come. Memory: 50 bytes a chunk."""

    def __init__(self, profiles: tuple[Profile, ...] = PROFILES) -> None:
        self._trees = [_Tree(profile) for profile in profiles]

    def update(self, data: bytes) -> None:
        for tree in self._trees:
            tree.update(data)

    def by_profile(self) -> dict[str, str]:
        """Return the CIDs of the bytes so far, by the names of the profiles."""
        return {tree.profile.name: tree.cid() for tree in self._trees}


def cids_of(chunks: Iterator[bytes]) -> dict[str, str]:
    """Return the CIDs of a file by the names of the profiles."""
    cids = Cids()
    for chunk in chunks:
        cids.update(chunk)
    return cids.by_profile()


class _Node(NamedTuple):
    """A node of a tree. size: bytes of the file below it. total: bytes of all nodes below it and its own."""

    cid: bytes
    size: int
    total: int


class _Tree:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._leaves: list[_Node] = []
        self._rest = bytearray()

    def update(self, data: bytes) -> None:
        self._rest += data
        chunk = self.profile.chunk
        # A file as long as a chunk must not get an empty second one.
        whole = (len(self._rest) - 1) // chunk * chunk if self._rest else 0
        for start in range(0, whole, chunk):
            self._leaves.append(self._leaf(bytes(self._rest[start : start + chunk])))
        del self._rest[:whole]

    def cid(self) -> str:
        level = [*self._leaves, self._leaf(bytes(self._rest))]
        while len(level) > 1:
            links = self.profile.links
            level = [self._parent(level[start : start + links]) for start in range(0, len(level), links)]
        cid = level[0].cid
        return _base32(cid) if self.profile.raw else _base58(cid)

    def _leaf(self, data: bytes) -> _Node:
        if self.profile.raw:
            return _Node(b"\x01\x55" + _multihash(data), len(data), len(data))
        content = _field(2, data) if data else b""
        node = _field(1, _number(1, _FILE) + content + _number(3, len(data)))
        return _Node(_multihash(node), len(data), len(node))

    def _parent(self, children: list[_Node]) -> _Node:
        size = sum(child.size for child in children)
        links = b"".join(
            _field(2, _field(1, child.cid) + _field(2, b"") + _number(3, child.total)) for child in children
        )
        sizes = b"".join(_number(4, child.size) for child in children)
        node = links + _field(1, _number(1, _FILE) + _number(3, size) + sizes)
        hashed = _multihash(node)
        cid = b"\x01\x70" + hashed if self.profile.raw else hashed
        return _Node(cid, size, len(node) + sum(child.total for child in children))


def _multihash(data: bytes) -> bytes:
    return _SHA256 + hashlib.sha256(data).digest()


# --- protocol buffers, as far as nodes need them ------------------------------------------------------------


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


# --- the text of a CID ------------------------------------------------------------------------------------


def _base32(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def _base58(cid: bytes) -> str:
    number, text = int.from_bytes(cid, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return text
