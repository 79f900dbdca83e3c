"""One account: its endpoints, the scopes of its token, and its requests a minute."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from nimbus_tasks.backends.blobs.fake_pinata.files import Files
from nimbus_tasks.backends.blobs.fake_pinata.signing import Signer
from nimbus_tasks.backends.blobs.fake_pinata.uploads import ResumableUploads

if TYPE_CHECKING:
    from starlette.requests import Request

    from nimbus_tasks.backends.blobs.fake_pinata.files import Options

#: Seconds that a window of the rate limit takes.
WINDOW = 60
#: Characters of a group's name.
LONGEST_NAME = 50


class Account:
    """One account and its files."""

    def __init__(self, options: Options, token: str) -> None:
        self._options = options
        self.files = Files(options)
        self._uploads = ResumableUploads(self.files, options.fail_parts)
        self._signer = Signer(token)
        self._window = self._requests = 0

    def signed(self, request: Request) -> bool:
        """Return whether the address of a request was signed for this account."""
        return self._signer.signed(request)

    # --- uploads -----------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        granted = self._signer.granted(request)
        if granted is None:
            self._check(request)
        if "upload-length" in request.headers:
            return self._uploads.begin(request)
        form = await request.form()
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise HTTPException(400, "file is required")
        fields = {name: value for name, value in form.items() if isinstance(value, str)} | (granted or {})
        content = await file.read()
        fields |= {"filetype": file.content_type or "", "filename": file.filename or ""}
        stored, is_duplicate = self.files.store(content, fields)
        return JSONResponse({"data": stored.as_json(is_duplicate)})

    async def part(self, request: Request) -> Response:
        self._check(request)
        return await self._uploads.part(request)

    async def sign(self, request: Request) -> Response:
        self._check(request)
        try:
            address = self._signer.address(str(request.base_url), json.loads(await request.body()))
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "date and expires are required") from None
        return JSONResponse({"data": address})

    # --- files and groups ----------------------------------------------------------------------------------

    async def listing(self, request: Request) -> Response:
        self._check(request, "org:files:read")
        asked = request.query_params
        found = self.files.select(request.path_params["network"], asked)
        start, limit = int(asked.get("pageToken", "0")), int(asked.get("limit", "10"))
        following = str(start + limit) if len(found) > start + limit else ""
        files = [file.as_json() for file in found[start : start + limit]]
        return JSONResponse({"data": {"files": files, "next_page_token": following}})

    async def one(self, request: Request) -> Response:
        self._check(request, f"org:files:{'read' if request.method == 'GET' else 'write'}")
        file = self.files.get(request.path_params["id"], request.path_params["network"])
        if request.method == "GET":
            return JSONResponse({"data": file.as_json()})
        self.files.remove(file)
        return JSONResponse({"data": None})

    async def groups(self, request: Request) -> Response:
        network = request.path_params["network"]
        if request.method == "GET":
            self._check(request, "org:groups:read")
            groups = [group for group in self.files.groups.values() if group["network"] == network]
            return JSONResponse({"data": {"groups": groups, "next_page_token": ""}})
        self._check(request, "org:groups:write")
        try:
            name = json.loads(await request.body())["name"]
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "name is required") from None
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
            raise HTTPException(400, f"name must have 1 to {LONGEST_NAME} characters")
        group = {"id": str(uuid.uuid4()), "name": name, "is_public": network == "public", "network": network}
        self.files.groups[group["id"]] = group
        return JSONResponse({"data": group})

    async def group(self, request: Request) -> Response:
        self._check(request, f"org:groups:{'read' if request.method == 'GET' else 'write'}")
        group = self.files.groups.get(request.path_params["id"])
        if group is None or group["network"] != request.path_params["network"]:
            raise HTTPException(404, "no such group")
        if request.method == "DELETE":
            del self.files.groups[group["id"]]
            return JSONResponse({"data": None})
        return JSONResponse({"data": group})

    def _check(self, request: Request, scope: str = "org:files:write") -> None:
        """Refuse a request without the scope of the token, and those beyond the rate limit."""
        if "authorization" not in request.headers:
            raise HTTPException(401, "Not authorized")
        window = int(time.time() // WINDOW)
        if window != self._window:
            self._window, self._requests = window, 0
        self._requests += 1
        if self._requests > self._options.requests:
            wait = str(WINDOW - int(time.time()) % WINDOW)
            headers = {
                "Retry-After": wait,
                "X-RateLimit-Limit": str(self._options.requests),
                "X-RateLimit-Remaining": "0",
            }
            raise HTTPException(429, "Too many requests", headers)
        if scope not in self._options.scopes:
            raise HTTPException(403, f"the token does not have the scope {scope}")
