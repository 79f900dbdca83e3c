"""CIDs are those of an independent implementation (aleph-cid, in Rust), and of Pinata's own documentation."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest
from aleph_cid import CidHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from nimbus_tasks.backends.blobs.cids import cids_of

CHUNK = 256 * 1024
SIZES = [
    *(0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5_000_000),
    pytest.param(174 * CHUNK + 1, marks=pytest.mark.soak),  # a second level of nodes
    pytest.param(60_000_000, marks=pytest.mark.soak),
]


def theirs(hasher: CidHasher, content: bytes) -> str:
    hasher.update(content)
    return str(hasher.finalize())


@pytest.mark.parametrize("size", SIZES)
def test_cids_are_those_of_an_independent_implementation(size: int) -> None:
    content = random.Random(size).randbytes(size)
    ours = cids_of(iter([content]))
    assert ours["v1-256k"] == theirs(CidHasher.for_ipfs_v1_raw_leaves(), content)
    assert ours["v0-256k"] == theirs(CidHasher.for_ipfs(), content)


def test_the_cid_in_the_documentation_of_pinata() -> None:
    cids = cids_of(iter([b"Hello World"]))
    assert cids["v1-256k"] == cids["unixfs-v1-2025"] == "bafkreiffsgtnic7uebaeuaixgph3pmmq2ywglpylzwrswv5so7m23hyuny"


def test_a_file_of_one_chunk_is_its_digest() -> None:
    """IPIP-499: chunks of 1 MiB, and raw leaves."""
    content = random.Random(1).randbytes(1024 * 1024)
    cid = b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
    assert cids_of(iter([content]))["unixfs-v1-2025"] == "b" + base64.b32encode(cid).decode().lower().rstrip("=")


@settings(max_examples=20)
@given(st.lists(st.integers(0, 400_000), max_size=5))
def test_how_the_bytes_come_does_not_matter(sizes: list[int]) -> None:
    content = random.Random(3).randbytes(sum(sizes))
    parts, start = [], 0
    for size in sizes:
        parts.append(content[start : start + size])
        start += size
    assert cids_of(iter(parts)) == cids_of(iter([content]))
