"""Files and images: uploads, and pointers to the latest ones. A public API for any program.

    config = UploadConfig.from_env()
    async with UploadManager(config) as manager:
        result = await manager.upload(Asset("plot.png", "temperature", "daily"))

The names are looked up on demand: a run of the pipeline does not import what only programs use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nimbus_tasks.assets.clients import CloudflareKVClient, PinataUploader
    from nimbus_tasks.assets.config import CloudflareKVConfig, PinataConfig, UploadConfig, WebhookConfig
    from nimbus_tasks.assets.metrics import UploadMetrics
    from nimbus_tasks.assets.upload_manager import Asset, UploadManager, UploadResult
    from nimbus_tasks.model.assets import Pointer

__all__ = [
    "Asset",
    "CloudflareKVClient",
    "CloudflareKVConfig",
    "PinataConfig",
    "PinataUploader",
    "Pointer",
    "UploadConfig",
    "UploadManager",
    "UploadMetrics",
    "UploadResult",
    "WebhookConfig",
]

_HOMES = {
    "Asset": "nimbus_tasks.assets.upload_manager",
    "CloudflareKVClient": "nimbus_tasks.assets.clients",
    "CloudflareKVConfig": "nimbus_tasks.assets.config",
    "PinataConfig": "nimbus_tasks.assets.config",
    "PinataUploader": "nimbus_tasks.assets.clients",
    "Pointer": "nimbus_tasks.model.assets",
    "UploadConfig": "nimbus_tasks.assets.config",
    "UploadManager": "nimbus_tasks.assets.upload_manager",
    "UploadMetrics": "nimbus_tasks.assets.metrics",
    "UploadResult": "nimbus_tasks.assets.upload_manager",
    "WebhookConfig": "nimbus_tasks.assets.config",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
