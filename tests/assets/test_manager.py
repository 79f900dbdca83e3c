"""Files go up, pointers name the latest of them, and nothing local is lost before both are confirmed."""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from edge.fake import Fake
from edge.pinata import Pinata

from nimbus_tasks.assets import Asset, CloudflareKVClient, UploadConfig, UploadManager
from nimbus_tasks.assets import manager as managing
from nimbus_tasks.model.errors import SettingsError

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
    path.write_bytes(b"\x89PNG of " + str(tmp_path).encode())
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


def test_a_file_goes_up_is_pointed_to_and_deleted(config: UploadConfig, plot: Path) -> None:
    asset = Asset(plot, "temperature", "daily", {"data_points": 1440})
    result = with_manager(config, lambda manager: manager.upload(asset))
    assert (result.success, result.error, result.kv_key) == (True, "", "temperature:daily:latest")
    assert result.is_latest
    assert result.ipfs_url == f"ipfs://{result.cid}"
    assert result.local_deleted
    assert not plot.exists()
    pointer = latest(config, "temperature", "daily")
    assert pointer.ipfs_url == result.ipfs_url
    assert pointer.metadata["filename"] == "plot.png"
    assert pointer.metadata["data_points"] == 1440
    assert pointer.metadata["content_type"] == "image/png"


class Sensor(str, Enum):  # noqa: UP042 - what programs for older Pythons have
    HUMIDITY = "humidity"


def test_groups_may_be_enums_and_files_may_stay(environment: dict[str, str], plot: Path) -> None:
    config = UploadConfig.from_env({**environment, "DELETE_LOCAL_FILES": "false"})
    result = with_manager(config, lambda manager: manager.upload_visualization(Asset(plot, Sensor.HUMIDITY, "hourly")))
    assert result.kv_key == "humidity:hourly:latest"
    assert plot.exists()
    assert not result.local_deleted


def test_one_bad_file_does_not_stop_the_others(config: UploadConfig, plot: Path, tmp_path: Path) -> None:
    assets = [
        Asset(tmp_path / "missing.png", "light", "a"),
        Asset(plot, "page", "b"),
        Asset(plot, "Light", "c"),
        Asset(plot, "light", "d"),
    ]
    results = with_manager(config, lambda manager: manager.upload_multiple(assets, max_concurrent=2))
    assert [result.success for result in results] == [False, False, False, True]
    assert "missing.png cannot be read: no such file" in results[0].error
    assert "kind of record" in results[1].error
    assert "`Light`" in results[2].error
    assert not plot.exists()


def test_an_older_upload_does_not_replace_a_newer_pointer(
    config: UploadConfig, plot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer.png"
    newer.write_bytes(b"newer")
    uploading = managing.PinataUploader.upload_file

    async def race(manager: UploadManager) -> list[Any]:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow(self: Any, file: Any, labels: Any = None) -> Any:
            if Path(file) == plot:
                begun.set()
                await may_end.wait()
            return await uploading(self, file, labels)

        monkeypatch.setattr(managing.PinataUploader, "upload_file", slow)
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


def test_all_mistakes_of_the_environment_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        UploadConfig.from_env(
            {
                "PINATA_JWT": "a token",
                "CLOUDFLARE_ACCOUNT_ID": "x",
                "DELETE_LOCAL_FILES": "perhaps",
                "PINATA_API_URL": "http://a.b",
            }
        )
    told = str(raised.value)
    for name in (
        "PINATA_JWT",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "KV_NAMESPACE_ID",
        "DELETE_LOCAL_FILES",
    ):
        assert name in told
    assert "PINATA_API_URL" in told
    assert "a token" not in told


def test_without_any_variable_uploads_are_off() -> None:
    config = UploadConfig.from_env({})
    assert not config.enabled
    with pytest.raises(SettingsError, match="not configured"):
        UploadManager(config)
