"""Uploads a folder of files to an S3 server with one client: `python blobs.py CLIENT TASK FOLDER PREFIX AT_ONCE`.

CLIENT is nimbus, boto3 or obstore; TASK is `put`, or `again`: find out that all is there. It prints a line of JSON: the
seconds and the processor time of the task, without imports and the digests that all need. The server is in the
environment, as AWS's own variables name it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET = "files"
URL = os.environ.get("AWS_ENDPOINT_URL_S3", "")


def _digests(folder: Path) -> dict[Path, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def nimbus(task: str, files: dict[Path, str], prefix: str, at_once: int) -> Callable[[], Any]:
    import nimbus_tasks.backends.blobs.retry
    import nimbus_tasks.backends.blobs.s3
    import nimbus_tasks.backends.kv.pacing  # noqa: F401 - before the clock starts, as the others
    from nimbus_tasks.backends.blobs import Blob
    from nimbus_tasks.backends.blobs.open import BlobTarget, open_blob_store

    target = BlobTarget(store="s3", bucket=BUCKET, prefix=prefix, concurrency=at_once)
    blobs = [Blob(path, digest, path.stat().st_size, "image/png", path.name) for path, digest in files.items()]

    async def run() -> None:
        async with await open_blob_store(target) as store:
            if task == "again":
                held = {each.sha256: each.size async for each in store.list()}
                assert all(held.get(blob.sha256) == blob.size for blob in blobs)
                return
            left = iter(blobs)

            async def slot() -> None:
                for blob in left:
                    await store.put(blob)

            await asyncio.gather(*(slot() for _ in range(at_once)))

    return lambda: asyncio.run(run())


def boto3(_: str, files: dict[Path, str], prefix: str, at_once: int) -> Callable[[], Any]:
    import boto3 as sdk
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    client = sdk.client("s3", endpoint_url=URL, config=Config(max_pool_connections=4 * at_once))
    parts = TransferConfig(max_concurrency=4)

    def put(item: tuple[Path, str]) -> None:
        path, digest = item
        if path.stat().st_size > 16 * 1024 * 1024:
            client.upload_file(str(path), BUCKET, prefix + digest, Config=parts)
            return
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        with path.open("rb") as body:
            client.put_object(
                Bucket=BUCKET, Key=prefix + digest, Body=body, ContentType="image/png", ChecksumSHA256=checksum
            )

    def run() -> None:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(put, files.items()))

    return run


def obstore(_: str, files: dict[Path, str], prefix: str, at_once: int) -> Callable[[], Any]:
    import obstore as library
    from obstore.store import S3Store

    store = S3Store(BUCKET, endpoint=URL, client_options={"allow_http": True}, virtual_hosted_style_request=False)

    async def run() -> None:
        left = iter(files.items())

        async def slot() -> None:
            for path, digest in left:
                await library.put_async(store, prefix + digest, path)

        await asyncio.gather(*(slot() for _ in range(at_once)))

    return lambda: asyncio.run(run())


def main() -> None:
    client, task, folder, prefix, at_once = sys.argv[1:]
    work = {"nimbus": nimbus, "boto3": boto3, "obstore": obstore}[client](
        task, _digests(Path(folder)), prefix, int(at_once)
    )
    began, cpu = time.perf_counter(), time.process_time()
    work()
    told = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    told["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(0)  # obstore aborts now and then while an interpreter ends


if __name__ == "__main__":
    main()
