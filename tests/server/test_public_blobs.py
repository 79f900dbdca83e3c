"""The files of the site, in the folder store, are for every reader: as what their bytes are, and never as a page."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from service_process import PNG, ServiceProcess, sha256

FILES = {
    PNG + b"pixels": "image/png",
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>': "image/svg+xml",
    b"<!doctype html><script>alert(1)</script>": "application/octet-stream",
    b"": "application/octet-stream",
}


def put(folder: Path, content: bytes) -> str:
    """Put a file where the folder store has it, and return its address."""
    digest = sha256(content)
    path = folder / ".nimbus/blobs" / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"/blobs/{digest[:2]}/{digest}"


@pytest.mark.parametrize("store", ["folder", "s3"])
def test_files_of_the_folder_store_are_served(tmp_path: Path, store: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with (
        ServiceProcess(tmp_path, "--role=web", settings=f'[assets]\nstore = "{store}"\n') as service,
        httpx.Client(base_url=service.url) as reader,
    ):
        for content, content_type in FILES.items():
            answer = reader.get(put(tmp_path, content))
            if store != "folder":
                assert answer.status_code == 404
                continue
            assert (answer.status_code, answer.content) == (200, content)
            assert answer.headers["content-type"].split(";")[0] == content_type
            assert answer.headers["content-security-policy"].startswith("sandbox;")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "immutable" in answer.headers["cache-control"]
        other = put(tmp_path, b"others")
        linked = tmp_path / ".nimbus" / other.lstrip("/")
        linked.unlink()
        linked.symlink_to(tmp_path / "secret")
        digest = "f" * 64
        for path in (
            other,
            f"/blobs/ff/{digest}",
            f"/blobs/00/{digest}",
            "/blobs/../secret",
            "/blobs/ff/..%2f..%2fsecret",
        ):
            assert reader.get(path).status_code in (400, 404)
