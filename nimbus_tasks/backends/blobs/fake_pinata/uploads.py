"""Uploads in parts (TUS)."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from nimbus_tasks.backends.blobs.fake_pinata.files import Files


class ResumableUploads:
    """The unfinished uploads of one account. fail_parts: every n-th part is cut off in the middle; 0: none."""

    def __init__(self, files: Files, fail_parts: int) -> None:
        self._files, self._fail_parts = files, fail_parts
        self._resumable: dict[str, tuple[bytearray, int, dict[str, str]]] = {}
        self._parts = 0

    def begin(self, request: Request) -> Response:
        """Begin an upload in parts."""
        metadata: dict[str, str] = {}
        for each in request.headers.get("upload-metadata", "").split(","):
            name, _, value = each.strip().partition(" ")
            try:
                metadata[name] = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise HTTPException(400, "Upload-Metadata is malformed") from None
        upload = uuid.uuid4().hex
        self._resumable[upload] = (bytearray(), int(request.headers["upload-length"]), metadata)
        return Response(status_code=201, headers={"Location": f"{request.base_url}v3/files/upload/{upload}"})

    async def part(self, request: Request) -> Response:
        """Take a part, or say how far an upload is."""
        found = self._resumable.get(request.path_params["upload"])
        if found is None:
            raise HTTPException(404, "no such upload")
        content, length, metadata = found
        if request.method == "HEAD":
            return Response(headers={"Upload-Offset": str(len(content)), "Upload-Length": str(length)})
        if request.headers.get("upload-offset") != str(len(content)):
            raise HTTPException(409, "the offset is another one")
        self._parts += 1
        cut = self._fail_parts and self._parts % self._fail_parts == 0
        async for chunk in request.stream():
            content += chunk
            if cut:
                raise HTTPException(503, "cut off")
        if len(content) < length:
            return Response(status_code=204, headers={"Upload-Offset": str(len(content))})
        del self._resumable[request.path_params["upload"]]
        file, _ = self._files.store(bytes(content), metadata)
        return Response(status_code=204, headers={"Upload-Offset": str(length), "upload-cid": file.cid})
