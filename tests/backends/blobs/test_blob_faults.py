"""What services, disks and files do to uploads: one clear line each, the others go on, and nothing is deleted."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from edge.pinata import Account, Pinata
from edge.seaweed import needs_seaweed
from loopback import Asked, Loopback, answer

from nimbus_tasks.assets.ledger import AssetLedger
from nimbus_tasks.backends.blobs import Blob, BlobStore, Held, Location, s3_multipart
from nimbus_tasks.backends.blobs.folder import FolderStore
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.backends.blobs.pinata_requests import Places
from nimbus_tasks.backends.blobs.s3 import S3Store
from nimbus_tasks.backends.blobs.s3_requests import Bucket, S3Requests
from nimbus_tasks.backends.blobs.sigv4 import Credentials
from nimbus_tasks.backends.http import Http, Recorded, Timeouts
from nimbus_tasks.model.errors import RefusedError, StoreError, TooMuchError, TransientError
from nimbus_tasks.project.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edge.seaweed import Seaweed

WAIT = Timeouts(connect=5, read=60)
SECRET = "a-5ecre7-that-is-long-enough"
MEGABYTE = 1024 * 1024


def blob_of(path: Path, content: bytes) -> Blob:
    path.write_bytes(content)
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content), "image/png", path.name)


def s3_at(url: str, record: Callable[[Recorded], None] = lambda _: None) -> S3Store:
    http = Http(url, None, WAIT, record, hidden=(Secret(SECRET),))
    return S3Store(S3Requests(http, Credentials("an-id", SECRET, "eu-west-1"), Bucket("files", "p/")))


def pinata_at(server: Account, **options: Any) -> PinataStore:
    token = Secret(server.token)
    places = Places(Http(server.url, token, WAIT), Http(server.url, token, WAIT), Http(server.url, None, WAIT))
    return PinataStore(places, **{"requests_a_minute": 100_000, **options})


def use(store: BlobStore, work: Callable[[BlobStore], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


# --- what S3 services say ----------------------------------------------------------------------------------


def error(code: str, more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>The words.</Message>{more}</Error>".encode()


#: Stand for times as the test runs: the tests of a busy machine are collected minutes before.
AN_HOUR_AND_A_HALF_AGO, IN_AN_HOUR = "(90 minutes ago)", "(in an hour)"
SAID: list[tuple[str, bytes, type[StoreError], str]] = [
    ("clock", answer(403, error("RequestTimeTooSkewed"), date=AN_HOUR_AND_A_HALF_AGO),
     StoreError, r"this machine's clock \((89|90|91) minutes ahead of the server's\) is wrong\. Set the clock"),
    ("clock, no date", answer(403, error("RequestTimeTooSkewed")), StoreError, "this machine's clock is wrong"),
    ("bucket", answer(404, error("NoSuchBucket")), StoreError, "bucket `files`. Make the bucket, or correct its name"),
    ("denied", answer(403, error("AccessDenied")), StoreError, "Allow the access key to list, read, write"),
    ("expired", answer(400, error("ExpiredToken")), StoreError, "AWS_SESSION_TOKEN has expired: get new credentials"),
    ("key", answer(403, error("InvalidAccessKeyId")), StoreError, "Check AWS_ACCESS_KEY_ID"),
    ("signature", answer(403, error("SignatureDoesNotMatch")), StoreError, "Check AWS_SECRET_ACCESS_KEY"),
    ("region", answer(400, error("AuthorizationHeaderMalformed", "<Region>us-west-2</Region>")),
     StoreError, "region us-west-2. Check AWS_REGION"),
    ("elsewhere", answer(301, error("PermanentRedirect"), location="https://evil.example"), StoreError, "AWS_REGION"),
    ("redirect", answer(307, location="https://evil.example/x?y"), StoreError, "a redirect to https://evil.example"),
    ("unknown refusal", answer(403, error("Whatever")), StoreError, "Check the endpoint, the credentials"),
    ("slow down", answer(503, error("SlowDown"), retry_after="7"), TransientError, "SlowDown: The words"),
    ("slow down, other status", answer(400, error("RequestTimeout")), TransientError, "RequestTimeout"),
    ("later", answer(429, b"", retry_after=IN_AN_HOUR), TransientError, "429"),
    ("page for people", answer(502, b"<html><h1>Bad gateway</h1></html>"), TransientError, "answered 502"),
    ("too large", answer(400, error("EntityTooLarge")), TooMuchError, "too large"),
    ("this file", answer(400, error("InvalidRequest")), RefusedError, "InvalidRequest: The words"),
    ("no code", answer(400), StoreError, "Check the credentials and AWS_REGION"),
    ("not found", answer(404), StoreError, "bucket `files`. Make the bucket"),
    ("wrapped", answer(403, b"<Answer>" + error("AccessDenied")[21:] + b"</Answer>"), StoreError, "Allow"),
    ("secret", answer(400, error(f"X {SECRET}")), RefusedError, r"X \*\*\*"),
    ("other checksum", answer(200, x_amz_checksum_sha256="c29tZXRoaW5n"), TransientError, "holds other bytes than"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "kind", "words"), [each[1:] for each in SAID], ids=[each[0] for each in SAID])
def test_what_an_s3_service_says_is_one_line_with_a_next_step(
    tmp_path: Path, said: bytes, kind: type[StoreError], words: str
) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    for name, minutes in ((AN_HOUR_AND_A_HALF_AGO, -90), (IN_AN_HOUR, 60)):
        said = said.replace(name.encode(), format_datetime(datetime.now(UTC) + timedelta(minutes=minutes)).encode())

    async def work() -> StoreError:
        async with Loopback(said) as server:
            store = s3_at(server.url)
            with pytest.raises(StoreError) as raised:
                await store.put(blob)
            await store.close()
            return raised.value

    ended = asyncio.run(work())
    assert type(ended) is kind
    assert re.search(words, str(ended)), str(ended)
    assert str(ended).isprintable()
    assert SECRET not in str(ended)
    if isinstance(ended, TransientError) and b"retry-after" in said:
        assert ended.wait == 7 or 3000 < (ended.wait or 0) <= 3600


# --- services that keep less of the protocol ------------------------------------------------------------------


class Plain:
    """An S3 service with few features. knows: headers that are not answered with 501; keeps_checksums: in HEAD."""

    def __init__(self, *unknown: str, keeps_checksums: bool = False, conditions: bool = False) -> None:
        self.unknown, self.keeps_checksums, self.conditions = unknown, keeps_checksums, conditions
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.puts = 0

    def reply(self, asked: Asked) -> bytes:
        if any(name in asked.headers for name in self.unknown):
            return answer(501, b"" if asked.method == "HEAD" else error("NotImplemented"))
        key, query = urlsplit(asked.target).path, parse_qs(urlsplit(asked.target).query, keep_blank_values=True)
        match asked.method:
            case "PUT" if "partNumber" in query:
                self.parts[int(query["partNumber"][0])] = asked.body
                return answer(200, etag=f'"{hashlib.md5(asked.body).hexdigest()}"')
            case "PUT":
                self.puts += 1
                if self.conditions and key in self.objects and "if-none-match" in asked.headers:
                    return answer(412, error("PreconditionFailed"))
                self.objects[key] = asked.body
                return answer(200, etag='"x"')
            case "POST" if "uploads" in query:
                return answer(200, b"<R><UploadId>u</UploadId></R>")
            case "POST":
                assert (b"ChecksumSHA256" in asked.body) == ("x-amz-checksum-sha256" not in self.unknown)
                self.objects[key] = b"".join(self.parts[number] for number in sorted(self.parts))
                return answer(200, b"<R><ETag>x</ETag></R>")
            case "GET" if "uploads" in query:
                return answer(501, error("NotImplemented"))
        if key not in self.objects:
            return answer(404)
        return self._stored(asked, self.objects[key])

    def _stored(self, asked: Asked, content: bytes) -> bytes:
        if asked.method == "HEAD":
            told = {"x_amz_checksum_sha256": base64.b64encode(hashlib.sha256(content).digest()).decode()}
            return answer(200, **(told if self.keeps_checksums else {}))
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        return answer(206, content[first : last + 1]) if first < len(content) else answer(416)


CHECKSUMS = ("x-amz-checksum-sha256", "x-amz-checksum-algorithm", "x-amz-checksum-mode")
SERVICES: dict[str, tuple[Callable[[], Plain], str]] = {
    "no checksum in answers": (Plain, "read back"),
    "no checksum headers": (lambda: Plain(*CHECKSUMS), "read back"),
    "no condition": (lambda: Plain("if-none-match", keeps_checksums=True), "checksum"),
    "neither": (lambda: Plain("if-none-match", *CHECKSUMS), "read back"),
    "all": (lambda: Plain(keeps_checksums=True, conditions=True), "checksum"),
}


@pytest.mark.parametrize("size", [0, 5, 3000], ids=["empty", "small", "in parts"])
@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_does_not_know_is_left_out_and_files_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, size: int
) -> None:
    monkeypatch.setattr(s3_multipart, "PART", 1000)
    monkeypatch.setattr("nimbus_tasks.backends.blobs.s3.PART", 1000)
    make, verified = SERVICES[service]
    plain, blob = make(), blob_of(tmp_path / "a.png", os.urandom(size))

    async def work() -> None:
        async with Loopback(plain.reply) as server:
            store = s3_at(server.url)
            for _ in range(2):
                location = await store.put(blob)
                # This service gives a file in parts the checksum of its bytes, as R2 does; it is found by neither.
                assert location.verified == verified
            plain.objects = dict.fromkeys(plain.objects, b"other bytes")
            assert await store.find(blob) is None
            if size < 1000:
                assert (await store.put(blob)).verified == verified  # other bytes are replaced
                first, second = sum("if-none-match" in each.headers for each in server.asked), plain.puts
                assert first <= second + 1
            await store.close()

    asyncio.run(work())


# --- addresses that are secrets -------------------------------------------------------------------------------


def test_a_presigned_address_is_in_no_repr_log_or_error(tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    recorded: list[Recorded] = []

    async def work() -> None:
        async with Loopback(answer(400)) as server:
            store = s3_at(server.url, recorded.append)
            address, headers = store.presigned_put(blob, 60)
            assert "X-Amz-Signature" in address.reveal()
            assert "Signature" not in f"{address} {address!r} {headers}"
            sender = Http(server.url, None, WAIT, recorded.append)
            path = address.reveal().removeprefix(server.url)
            said = sender.failure(await sender.send("PUT", path, b"bytes", headers))
            assert "Signature" not in f"{said} {recorded}"
            assert "Signature" in server.asked[0].target
            await sender.close()
            await store.close()

    asyncio.run(work())


# --- browsers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        (
            answer(200, access_control_allow_origin="https://shop.example", access_control_allow_methods="GET, PUT"),
            True,
        ),
        (answer(204, access_control_allow_origin="*", access_control_allow_methods="*"), True),
        (answer(200, access_control_allow_origin="https://shop.example", access_control_allow_methods="GET"), False),
        (answer(200, access_control_allow_origin="https://b.example", access_control_allow_methods="PUT"), False),
        (answer(403, error("AccessForbidden")), False),
    ],
)
def test_a_preflight_tells_whether_browsers_may_upload(said: bytes, allowed: bool) -> None:
    async def work() -> None:
        async with Loopback(said) as server:
            store = s3_at(server.url)
            assert await store.allows("https://shop.example") is allowed
            await store.close()
        (asked,) = server.asked
        assert (asked.method, asked.headers["access-control-request-method"]) == ("OPTIONS", "PUT")
        assert "authorization" not in asked.headers

    asyncio.run(work())


# --- files and disks ------------------------------------------------------------------------------------------


def test_a_file_that_grows_is_stored_as_it_was_hashed(tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    blob.file.write_bytes(b"bytes and more")
    plain = Plain()

    async def work() -> None:
        async with Loopback(plain.reply) as server:
            store = s3_at(server.url)
            await store.put(blob)
            await store.close()

    asyncio.run(work())
    assert list(plain.objects.values()) == [b"bytes"]


def test_a_file_that_changed_is_named_where_the_store_refuses_its_checksum(tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    blob.file.write_bytes(b"other")

    async def work() -> None:
        async with Loopback(answer(400, error("BadDigest"))) as server:
            store = s3_at(server.url)
            with pytest.raises(RefusedError, match=r"a\.png has changed while it was uploaded"):
                await store.put(blob)
            blob.file.write_bytes(b"bytes")
            with pytest.raises(TransientError, match="BadDigest"):
                await store.put(blob)
            await store.close()

    asyncio.run(work())


def _no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nimbus_tasks.project.atomic.os.fsync", full)


def _small_files(_: pytest.MonkeyPatch) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize(
    ("limit", "why"), [(_no_room, "no space left on device"), (_small_files, "file too large")], ids=["full", "large"]
)
def test_a_full_disk_fails_the_file_that_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: Callable[[pytest.MonkeyPatch], None], why: str
) -> None:
    large, small = blob_of(tmp_path / "a.png", bytes(2 * MEGABYTE)), blob_of(tmp_path / "b.png", b"small")
    store = FolderStore(tmp_path / "blobs")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with monkeypatch.context() as limited:
            limit(limited)
            with pytest.raises(RefusedError, match=rf"It cannot be stored in .*blobs: {why}\."):
                use(store, lambda opened: opened.put(large))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    location = use(store, lambda opened: opened.put(small))
    assert use(store, lambda opened: opened.find(small)) == location
    assert use(store, lambda opened: opened.find(large)) is None
    # Nothing is left of the file that had no room.
    assert sorted(path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()) == [small.sha256]
    assert large.file.stat().st_size == large.size


def test_a_folder_that_is_a_file_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"")
    with pytest.raises(StoreError, match=r"blobs cannot be used: .*\. It must be a folder: move away") as raised:
        use(FolderStore(tmp_path / "blobs"), lambda store: store.put(blob_of(tmp_path / "a.png", b"x")))
    assert type(raised.value) is StoreError


SENDER = """
import asyncio, hashlib, re, sys
from pathlib import Path
from nimbus_tasks.backends.blobs import Blob
from nimbus_tasks.backends.blobs.open import BlobTarget, open_blob_store

file, store, prefix = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with file.open("rb") as opened:
    blob = Blob(file, hashlib.file_digest(opened, "sha256").hexdigest(), file.stat().st_size, "video/mp4", file.name)

async def main():
    async with await open_blob_store(BlobTarget(store=store, bucket="files", prefix=prefix), file.parent) as opened:
        assert await opened.find(blob) is None
        location = await opened.put(blob)
        assert await opened.find(blob) == location

asyncio.run(main())
# The process's own: `ru_maxrss` would hold what the process that started it had.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("store", "size"),
    [("folder", 2 << 30), pytest.param("s3", 2 << 30, marks=needs_seaweed), ("pinata", 200 << 20)],
)
def test_large_files_are_streamed(request: pytest.FixtureRequest, tmp_path: Path, store: str, size: int) -> None:
    """A sparse file, so that only the store's copy takes room; Pinata's test server keeps files in memory."""
    file = tmp_path / "large.mp4"
    with file.open("wb") as opened:
        opened.truncate(size)
    with Pinata(requests=1000) as pinata:
        told = {"PINATA_JWT": pinata.token, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        told |= dict.fromkeys(("PINATA_UPLOAD_URL", "PINATA_API_URL", "PINATA_GATEWAY_URL"), pinata.url)
        if store == "s3":
            seaweed: Seaweed = request.getfixturevalue("seaweed")
            told |= {
                "AWS_ENDPOINT_URL_S3": seaweed.url,
                "AWS_ACCESS_KEY_ID": seaweed.credentials.access_key_id,
                "AWS_SECRET_ACCESS_KEY": seaweed.credentials.secret_access_key,
            }
        command = [sys.executable, "-c", SENDER, str(file), store, f"{tmp_path.name}/"]
        ran = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 150, "megabytes"


# --- Pinata ---------------------------------------------------------------------------------------------------


NAMES = [
    'a "quoted" one.png',
    "two\nlines\r.png",
    "図表.png",
    "مخطط.png",
    "🎉.png",
    os.fsdecode(b"\xff\xfe.png"),
    "%22.png",
]


def test_names_in_any_script_are_kept(pinata: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = [blob_of(tmp_path / name, name.encode(errors="surrogateescape") * 99) for name in NAMES]

    async def work(store: BlobStore) -> list[str]:
        for number, blob in enumerate(blobs):
            # Every second one goes up in parts.
            monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata.LARGE", 0 if number % 2 else 1 << 30)
            assert (await store.put(blob)).verified.startswith("cid")
        return [held.sha256 async for held in store.list()]

    listed = use(pinata_at(pinata), work)
    assert sorted(listed) == sorted(blob.sha256 for blob in blobs)


def test_a_group_must_exist_and_files_join_it(pinata: Account, tmp_path: Path) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    with pytest.raises(StoreError, match=r"Pinata has no group `nobody`\. Check PINATA_GROUP_ID"):
        use(pinata_at(pinata, group_id="nobody"), lambda store: store.open())
    with pytest.raises(RefusedError, match="no such group"):
        use(pinata_at(pinata, group_id="nobody"), lambda store: store.put(blob))
    group = pinata.make_group("plots")

    async def work(store: BlobStore) -> Location:
        await store.open()
        return await store.put(blob)

    assert use(pinata_at(pinata, group_id=group), work).group_id == group


@pytest.mark.parametrize(
    ("scopes", "fails"),
    [("org:files:write", "open"), ("org:files:read,org:groups:read", "put"), ("org:files:read,org:files:write", "")],
)
def test_a_token_without_a_scope_is_told_what_it_lacks(tmp_path: Path, scopes: str, fails: str) -> None:
    blob = blob_of(tmp_path / "a.png", b"bytes")
    with Pinata(scopes=scopes) as server:
        calls: dict[str, Callable[[BlobStore], Awaitable[Any]]] = {
            "open": lambda store: store.open(),
            "put": lambda store: store.put(blob),
        }
        for name, call in calls.items():
            if name != fails:
                use(pinata_at(server), call)
                continue
            with pytest.raises(
                StoreError, match=r"403 .*scope org:files:.*PINATA_JWT: it needs the permissions"
            ) as raised:
                use(pinata_at(server), call)
            assert server.token not in str(raised.value)
            break


def test_the_requests_of_a_plan_are_shared_by_all_files(tmp_path: Path) -> None:
    """Of 120 a minute, 20 begin at once; the server counts a minute's and refuses none."""
    blobs = [blob_of(tmp_path / f"{n}.png", b"x" * n) for n in range(22)]

    async def work(store: BlobStore) -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*map(store.put, blobs))
        return asyncio.get_running_loop().time() - began

    with Pinata(requests=120) as server:
        # Two more than begin at once: each waits until its part of the minute has passed.
        assert use(pinata_at(server, requests_a_minute=120), work) >= 2 * 60 / 120 * 0.9


def test_an_interrupted_upload_in_parts_goes_on_where_the_server_is(
    pinata: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata.LARGE", 1000)
    monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata_parts.PART", 1_000_000)
    blob = blob_of(tmp_path / "a.mp4", os.urandom(3_000_000))
    sent: list[int] = []

    def interrupted(size: int) -> None:
        sent.append(size)
        if sum(sent) > 2_200_000:
            raise TransientError("interrupted")

    async def work(store: BlobStore) -> None:
        with pytest.raises(TransientError, match="interrupted") as raised:
            await store.put(blob, interrupted)
        assert raised.value.progressed
        again: list[int] = []
        location = await store.put(blob, again.append)
        assert again[0] >= 2_000_000
        assert sum(again) == blob.size
        assert await store.find(blob) == location
        assert [each async for each in store.list()] == [Held(blob.sha256, blob.size, each_location(location))]

    use(pinata_at(pinata), work)


def test_an_upload_in_parts_is_resumed_by_another_process(
    pinata: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process leaves is in the ledger. An upload that is not there any more begins again."""
    monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata.LARGE", 1000)
    monkeypatch.setattr("nimbus_tasks.backends.blobs.pinata_parts.PART", 1_000_000)
    blob = blob_of(tmp_path / "a.mp4", os.urandom(3_000_000))

    def killed(size: int) -> None:
        sent.append(size)
        if sum(sent) > 2_200_000:
            raise asyncio.CancelledError

    async def interrupt(store: BlobStore) -> None:
        with pytest.raises(asyncio.CancelledError):
            await store.put(blob, killed)

    async def resume(store: BlobStore) -> list[int]:
        again: list[int] = []
        await store.put(blob, again.append)
        return again

    for spoil, first in (
        (lambda where: where, 2_000_000),
        (lambda where: where[:-3] + "000", 0),
        (lambda _: "https://elsewhere.example/v3/files/upload/1", 0),
    ):
        sent: list[int] = []
        with AssetLedger(tmp_path / "assets.db") as ledger:
            use(pinata_at(pinata, resumable=ledger), interrupt)
        with AssetLedger(tmp_path / "assets.db") as ledger:
            ledger.keep(blob.sha256, spoil(ledger.find(blob.sha256)))
            again = use(pinata_at(pinata, resumable=ledger), resume)
            assert (again[0] >= 2_000_000, sum(again)) == (first > 0, blob.size)
            assert ledger.find(blob.sha256) == ""


def each_location(location: Location) -> Location:
    """Return a location as a listing has it: not verified."""
    return Location(location.url, location.cid, location.ipfs_url, location.id, location.group_id)
