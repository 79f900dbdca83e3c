"""From plain values and the environment to a blob store: all mistakes at once, and no secret is shown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import pytest
from edge.pinata import Pinata
from edge.seaweed import needs_seaweed

from nimbus_tasks.backends.blobs import Blob, Held
from nimbus_tasks.backends.blobs.open import BlobTarget, blob_store, open_blob_store
from nimbus_tasks.model.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge.seaweed import Seaweed

SECRET = "a-5ecre7-that-is-long-enough"
VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"),
    *("PINATA_JWT", "PINATA_GROUP_ID", "PINATA_PLAN", "PINATA_UPLOAD_URL", "PINATA_API_URL", "PINATA_GATEWAY_URL"),
)
AWS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": SECRET}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("target", "environment", "identity"),
    [
        (BlobTarget(store="s3", bucket="b", region="eu-west-1"), AWS, "s3:https://s3.eu-west-1.amazonaws.com/b/"),
        (
            BlobTarget(store="s3", bucket="b", prefix="p/", endpoint="https://x.r2.cloudflarestorage.com"),
            AWS,
            "s3:https://x.r2.cloudflarestorage.com/b/p/",
        ),
        (
            BlobTarget(store="s3", bucket="b", endpoint="https://one.example"),
            AWS | {"AWS_ENDPOINT_URL_S3": "https://other.example", "AWS_SESSION_TOKEN": "token"},
            "s3:https://other.example/b/",
        ),
        (BlobTarget(store="pinata"), {"PINATA_JWT": SECRET}, "pinata:https://api.pinata.cloud"),
        (
            BlobTarget(store="pinata", plan="fiesta", gateway_url="https://ours.mypinata.cloud"),
            {"PINATA_JWT": SECRET, "PINATA_API_URL": "http://127.0.0.1:9", "PINATA_UPLOAD_URL": "http://localhost:9"},
            "pinata:http://127.0.0.1:9",
        ),
    ],
    ids=["aws", "r2", "environment wins", "pinata", "pinata elsewhere"],
)
def test_a_store_is_made_from_values(target: BlobTarget, environment: Mapping[str, str], identity: str) -> None:
    store = blob_store(target, environment=environment)
    assert store.identity == identity
    assert SECRET not in repr(vars(store))


@pytest.mark.parametrize(
    ("target", "environment", "mistakes"),
    [
        (
            {"store": "s3"},
            {},
            ["[assets] bucket is", "AWS_REGION neither", "AWS_ACCESS_KEY_ID is", "AWS_SECRET_ACCESS_KEY is"],
        ),
        (
            {"store": "s3", "bucket": "b", "public_url": "ftp://x"},
            AWS | {"AWS_ENDPOINT_URL_S3": "http://store.example", "AWS_SESSION_TOKEN": "two words"},
            ["AWS_ENDPOINT_URL_S3: http://store.example is not encrypted", "[assets] public_url: `ftp://x`", "SESSION"],
        ),
        (
            {"store": "s3", "bucket": "b", "endpoint": "x:9"},
            AWS,
            ["project.toml: [assets] endpoint: `x:9` is not an address"],
        ),
        (
            {"store": "server", "service_url": "x:9"},
            {"NIMBUS_SERVICE_KEY": SECRET},
            ["project.toml: [assets] service_url: `x:9` is not an address"],
        ),
        (
            {"store": "pinata", "gateway_url": "gateway"},
            {"PINATA_PLAN": "golden", "PINATA_UPLOAD_URL": "http://evil.example", "PINATA_API_URL": "//x"},
            ["PINATA_JWT is", "PINATA_PLAN must", "PINATA_UPLOAD_URL: ", "PINATA_API_URL: ", "PINATA_GATEWAY_URL: "],
        ),
        ({"store": "ftp"}, {}, ["`ftp` is no blob store: it must be one of folder, s3, pinata, server."]),
    ],
    ids=["s3", "addresses", "endpoint", "service", "pinata", "store"],
)
def test_all_mistakes_are_told_in_one_line(
    target: dict[str, Any], environment: Mapping[str, str], mistakes: list[str]
) -> None:
    with pytest.raises(SettingsError) as raised:
        blob_store(BlobTarget(**target), environment=environment)
    assert [each for each in mistakes if each not in str(raised.value)] == []
    assert "\n" not in str(raised.value)
    assert "two words" not in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_credential_in_an_address_is_refused_and_not_shown() -> None:
    target = BlobTarget(store="pinata", gateway_url="https://user:password-1@gateway.example")
    with pytest.raises(SettingsError, match="has a password in it") as raised:
        blob_store(target, environment={"PINATA_JWT": SECRET})
    assert "password-1" not in str(raised.value)


@needs_seaweed
def test_an_opened_store_is_ready(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    empty = Blob(
        tmp_path / "a.txt", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, "text/plain", "a.txt"
    )
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.credentials.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.credentials.secret_access_key)

    async def use(target: BlobTarget) -> None:
        async with await open_blob_store(target, tmp_path) as store:
            location = await store.put(empty)
            assert await store.find(empty) == location
            held = Held(empty.sha256, 0, location)
            assert [each.sha256 async for each in store.list()] == [empty.sha256]
            assert b"".join([part async for part in store.read(held)]) == b""
            await store.remove(held)

    with Pinata(requests=1000) as pinata:
        monkeypatch.setenv("PINATA_JWT", pinata.token)
        for name in ("PINATA_UPLOAD_URL", "PINATA_API_URL", "PINATA_GATEWAY_URL"):
            monkeypatch.setenv(name, pinata.url)
        asyncio.run(use(BlobTarget()))
        asyncio.run(
            use(BlobTarget(store="s3", endpoint=seaweed.url, bucket=seaweed.bucket, prefix=f"{tmp_path.name}/"))
        )
        asyncio.run(use(BlobTarget(store="pinata")))
    assert (tmp_path / ".nimbus/blobs/e3").is_dir()


@needs_seaweed
@pytest.mark.parametrize(
    ("bucket", "changed", "late", "words"),
    [
        ("nowhere", {}, 0, "NoSuchBucket: .* bucket `nowhere`. Make the bucket, or correct its name"),
        ("files", {"AWS_SECRET_ACCESS_KEY": SECRET}, 0, "SignatureDoesNotMatch: .* Check AWS_SECRET_ACCESS_KEY"),
        ("files", {"AWS_ACCESS_KEY_ID": "nobody"}, 0, "InvalidAccessKeyId: .* Check AWS_ACCESS_KEY_ID"),
        ("files", {}, 2, "RequestTimeTooSkewed: .* this machine's clock is wrong. Set the clock of this machine"),
    ],
    ids=["bucket", "secret", "key", "clock"],
)
def test_what_a_server_refuses_is_said_before_a_file_is_sent(
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
    bucket: str,
    changed: Mapping[str, str],
    late: int,
    words: str,
) -> None:
    keys = seaweed.credentials
    given = {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key, **changed}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Late:
            return super().now(tz) - timedelta(hours=late)

    monkeypatch.setattr("nimbus_tasks.backends.blobs.s3_requests.datetime", Late)
    with pytest.raises(StoreError, match=words) as raised:
        asyncio.run(open_blob_store(BlobTarget(store="s3", endpoint=seaweed.url, bucket=bucket)))
    assert SECRET not in str(raised.value)


def test_naming_a_store_loads_no_http_client() -> None:
    code = (
        "import sys; from nimbus_tasks.backends.blobs.open import *; blob_store(BlobTarget());"
        "print(sorted({'httpx', 'tenacity', 'aiolimiter', 'defusedxml'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
