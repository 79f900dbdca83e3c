"""Files go up, pointers name the latest of them, and nothing local is lost before both are confirmed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from edge.fake import Fake
from edge.pinata import Pinata
from loopback import Loopback, answer

from nimbus_tasks.assets import Asset, CloudflareKVClient, UploadConfig, UploadManager
from nimbus_tasks.assets import upload_manager as managing
from nimbus_tasks.backends.blobs.pinata import PinataStore
from nimbus_tasks.model.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Pinata, Fake]]:
    with Pinata(requests=100_000) as pinata, Fake() as kv:
        yield pinata, kv


@pytest.fixture
def environment(servers: tuple[Pinata, Fake]) -> dict[str, str]:
    pinata, kv = servers
    return {
        "PINATA_JWT": pinata.token,
        "PINATA_PLAN": "fiesta",
        "PINATA_UPLOAD_URL": pinata.url,
        "PINATA_API_URL": pinata.url,
        "PINATA_GATEWAY_URL": pinata.url,
        "CLOUDFLARE_API_TOKEN": kv.token,
        "CLOUDFLARE_ACCOUNT_ID": kv.account,
        "KV_NAMESPACE_ID": kv.namespace,
        "CLOUDFLARE_API_BASE_URL": kv.url,
    }


@pytest.fixture
def config(environment: dict[str, str]) -> UploadConfig:
    return UploadConfig.from_env(environment)


@pytest.fixture
def plot(tmp_path: Path) -> Path:
    path = tmp_path / "plot.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n of " + str(tmp_path).encode())
    return path


def with_manager(config: UploadConfig, work: Callable[[UploadManager], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with UploadManager(config) as manager:
            return await work(manager)

    return asyncio.run(run())


def latest(config: UploadConfig, group: str, variant: str) -> Any:
    async def run() -> Any:
        assert config.kv
        async with CloudflareKVClient(config.kv) as kv:
            return await kv.get_latest_image(group, variant)

    return asyncio.run(run())


def test_a_file_goes_up_is_pointed_to_and_deleted(
    config: UploadConfig, plot: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "nimbus_tasks.assets")
    asset = Asset(plot, "temperature", "daily", {"data_points": 1440})
    result = with_manager(config, lambda manager: manager.upload(asset))
    assert (result.success, result.error, result.kv_key) == (True, "", "temperature:daily:latest")
    assert result.is_latest
    assert result.ipfs_url == f"ipfs://{result.cid}"
    assert [each.getMessage().partition(":")[0] for each in caplog.records] == ["hashed", "verified", "uploaded"]
    assert capfd.readouterr() == ("", "")  # a library prints nothing
    assert result.local_deleted
    assert not plot.exists()
    pointer = latest(config, "temperature", "daily")
    assert pointer.ipfs_url == result.ipfs_url
    assert pointer.metadata["filename"] == "plot.png"
    assert pointer.metadata["data_points"] == 1440
    assert pointer.metadata["content_type"] == "image/png"


def test_the_record_says_what_the_bytes_are_whatever_the_name_says(
    config: UploadConfig, servers: tuple[Pinata, Fake], tmp_path: Path
) -> None:
    """Names that this machine knows, and others do not, decide nothing."""
    config = msgspec.structs.replace(config, project_id="proj_0123456789ab")
    webp = tmp_path / "plot.jpg"
    webp.write_bytes(b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f\x1f\x40\x07" + bytes(10))
    result = with_manager(config, lambda manager: manager.upload(Asset(webp, "kind", "webp", {"sha256": "mine"})))
    assert result.success, result.error
    metadata = latest(config, "kind", "webp").metadata
    (held,) = servers[1].state(f"asset:{config.project_id}:{metadata['sha256']}").values()
    record = json.loads(held["value"])
    assert metadata["content_type"] == record["content_type"] == "image/webp"
    assert (record["width"], record["height"]) == (32, 30)


class Sensor(str, Enum):  # noqa: UP042 - what programs for older Pythons have
    HUMIDITY = "humidity"


def test_groups_may_be_enums_and_files_may_stay(environment: dict[str, str], plot: Path) -> None:
    config = UploadConfig.from_env({**environment, "DELETE_LOCAL_FILES": "false"})
    result = with_manager(config, lambda manager: manager.upload_visualization(Asset(plot, Sensor.HUMIDITY, "hourly")))
    assert result.kv_key == "humidity:hourly:latest"
    assert latest(config, Sensor.HUMIDITY, "hourly").ipfs_url == result.ipfs_url
    assert plot.exists()
    assert not result.local_deleted


def test_one_bad_file_does_not_stop_the_others(config: UploadConfig, plot: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty.png").touch()
    assets = [
        Asset(tmp_path / "missing.png", "light", "a"),
        Asset(plot, "page", "b"),
        Asset(plot, "Light", "c"),
        Asset(plot, "light", "d"),
        Asset(empty, "light", "e"),
    ]
    results = with_manager(config, lambda manager: manager.upload_multiple(assets, max_concurrent=2))
    assert [result.success for result in results] == [False, False, False, True, False]
    assert "missing.png cannot be read: no such file" in results[0].error
    assert "kind of record" in results[1].error
    assert "`Light`" in results[2].error
    assert "empty.png is empty" in results[4].error
    assert empty.exists()
    assert latest(config, "light", "e") is None
    assert not plot.exists()


def test_a_manager_that_is_closed_uploads_nothing(config: UploadConfig, plot: Path) -> None:
    async def run() -> Any:
        async with UploadManager(config) as manager:
            pass
        return await manager.upload(Asset(plot, "closed", "a"))

    result = asyncio.run(run())
    assert (result.success, plot.exists()) == (False, True)
    assert "closed" in result.error


@pytest.mark.parametrize("url", ["", "not a url", "ipfs://", "/files/1.png", "javascript:alert(1)"])
def test_a_pointer_names_an_address(config: UploadConfig, url: str) -> None:
    async def run() -> None:
        assert config.kv
        async with CloudflareKVClient(config.kv) as kv:
            await kv.set_latest_image("address", "a", url)

    with pytest.raises(SettingsError, match="It takes ipfs://CID"):
        asyncio.run(run())
    assert latest(config, "address", "a") is None


def test_an_older_upload_does_not_replace_a_newer_pointer(
    config: UploadConfig, plot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer.png"
    newer.write_bytes(b"newer")
    uploading = managing.PinataUploader.upload_blob

    async def race(manager: UploadManager) -> list[Any]:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow(self: Any, blob: Any, *more: Any) -> Any:
            if blob.file == plot:
                begun.set()
                await may_end.wait()
            return await uploading(self, blob, *more)

        monkeypatch.setattr(managing.PinataUploader, "upload_blob", slow)
        older = asyncio.create_task(manager.upload(Asset(plot, "race", "a")))
        await begun.wait()
        # Its clock is behind, and yet it began later.
        first = await manager.upload(Asset(newer, "race", "a"))
        newer.write_bytes(b"newest")
        second = await manager.upload(Asset(newer, "race", "a"))
        may_end.set()
        return [first, second, await older]

    first, second, older = with_manager(config, race)
    assert [each.is_latest for each in (first, second, older)] == [True, True, False]
    assert older.success
    assert latest(config, "race", "a").ipfs_url == second.ipfs_url


def test_a_failed_pointer_leaves_the_file(environment: dict[str, str], plot: Path) -> None:
    config = UploadConfig.from_env({**environment, "CLOUDFLARE_API_TOKEN": "another-token-that-is-wrong"})
    result = with_manager(config, lambda manager: manager.upload(Asset(plot, "wind", "a")))
    assert not result.success
    assert plot.exists()
    assert "another-token" not in result.error


def test_after_a_failed_pointer_the_next_upload_sends_no_bytes_again(
    environment: dict[str, str], servers: tuple[Pinata, Fake], plot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, digest = "proj_0123456789ab", hashlib.sha256(plot.read_bytes()).hexdigest()
    config = UploadConfig.from_env({**environment, "NIMBUS_PROJECT_ID": project})
    asset = Asset(plot, "wind", "hourly", {"data_points": 60, "start_time": datetime(2026, 11, 29, tzinfo=UTC)})

    async def fail(*_: Any, **__: Any) -> bool:
        raise StoreError("KV does not answer.", "Try again.")

    with monkeypatch.context() as patched:
        patched.setattr(CloudflareKVClient, "set_latest_image", fail)
        failed = with_manager(config, lambda manager: manager.upload(asset))
    assert (failed.success, failed.error, plot.exists()) == (False, "KV does not answer. Try again.", True)
    held = servers[1].state(f"asset:{project}:")[f"asset:{project}:{digest}"]
    record = json.loads(held["value"])
    assert held["metadata"] == {"size": record["size"], "content_type": "image/png"}
    assert record["locations"]["pinata"]["verified"].startswith("cid ")

    async def sent_again(*_: Any) -> None:
        raise AssertionError("the bytes were sent again")

    monkeypatch.setattr(PinataStore, "put", sent_again)
    done = with_manager(config, lambda manager: manager.upload(asset))
    assert (done.success, done.local_deleted) == (True, True)
    assert latest(config, "wind", "hourly").metadata == {
        "filename": "plot.png",
        "group": "wind",
        "variant": "hourly",
        "content_type": "image/png",
        "data_points": 60,
        "start_time": "2026-11-29T00:00:00Z",
        "sha256": digest,
        "size": record["size"],
    }


def test_without_a_project_no_record_is_written_and_bad_metadata_sends_nothing(
    config: UploadConfig, servers: tuple[Pinata, Fake], plot: Path
) -> None:
    digest = hashlib.sha256(plot.read_bytes()).hexdigest()
    bad = with_manager(config, lambda manager: manager.upload(Asset(plot, "rain", "a", {"x": object()})))
    assert (bad.success, plot.exists()) == (False, True)
    assert "cannot be written as JSON" in bad.error
    assert with_manager(config, lambda manager: manager.upload(Asset(plot, "rain", "a"))).success
    assert not [key for key in servers[1].state("asset:") if key.endswith(digest)]


def test_progress_numbers_and_the_webhook_tell_of_each_upload(
    environment: dict[str, str], plot: Path, tmp_path: Path
) -> None:
    plot.write_bytes(bytes(600_000) + str(tmp_path).encode())
    size = plot.stat().st_size
    shown: list[tuple[Path, int, int]] = []

    async def run() -> tuple[UploadManager, list[Any]]:
        async with Loopback(answer(200)) as server:
            hook = {"NIMBUS_WEBHOOK_URL": server.url, "NIMBUS_WEBHOOK_SECRET": "the-secret-of-a-webhook"}
            config = UploadConfig.from_env({**environment, **hook})
            async with UploadManager(config, lambda *progress: shown.append(progress)) as manager:
                for asset in (Asset(plot, "sun", "a"), Asset(tmp_path / "none.png", "sun", "b"), Asset(plot, "A", "b")):
                    await manager.upload(asset)
            return manager, [json.loads(each.body) for each in server.asked]

    manager, events = asyncio.run(run())
    assert shown[-1] == (plot, size, size)
    assert len(shown) > 2
    metrics = manager.metrics
    assert (metrics.uploaded, metrics.failed, metrics.bytes) == (1, 2, size)
    assert metrics.failures == {"unreadable": 1, "request": 1}
    assert set(metrics.latency) == {"p50", "p95", "p99"}
    files = [file for event in events for file in event["data"]["files"]]
    assert [(file["path"], file["success"], file["kv_key"]) for file in files] == [
        (str(plot), True, "sun:a:latest"),
        (str(tmp_path / "none.png"), False, ""),
        (str(plot), False, ""),
    ]


def test_all_mistakes_of_the_environment_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        UploadConfig.from_env(
            {
                "PINATA_JWT": "a token",
                "CLOUDFLARE_ACCOUNT_ID": "x",
                "DELETE_LOCAL_FILES": "perhaps",
                "PINATA_API_URL": "http://a.b",
                "NIMBUS_WEBHOOK_URL": "https://a.b/c",
                "NIMBUS_WEBHOOK_SECRET": "short",
            }
        )
    message = str(raised.value)
    for name in (
        "PINATA_JWT",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "KV_NAMESPACE_ID",
        "DELETE_LOCAL_FILES",
        "NIMBUS_WEBHOOK_SECRET",
    ):
        assert name in message
    assert "PINATA_API_URL" in message
    assert "a token" not in message


def test_without_any_variable_uploads_are_off() -> None:
    config = UploadConfig.from_env({})
    assert not config.enabled
    with pytest.raises(SettingsError, match="not configured"):
        UploadManager(config)
