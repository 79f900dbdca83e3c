"""Files and images: uploads, and pointers to the latest ones. A public API for any program.

config = UploadConfig.from_env()
async with UploadManager(config) as manager:
result = await manager.upload(Asset("plot.png", "temperature", "daily"))
"""

from nimbus_tasks.assets.clients import CloudflareKVClient, PinataUploader
from nimbus_tasks.assets.config import CloudflareKVConfig, PinataConfig, UploadConfig
from nimbus_tasks.assets.manager import Asset, UploadManager, UploadResult
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
    "UploadResult",
]
