"""A test server with Pinata's API as its documents describe it, on 127.0.0.1.

`python -m nimbus_tasks.backends.blobs.fake_pinata` runs it, with the extra `nimbus-tasks[fake]`, and prints
`{"url": ...}`: uploads, API and gateway are all there. The token is PINATA_JWT; several, with commas between, are of an
account each. Files are kept in memory. No other
module imports it, and it imports only `cids`, which an independent library checks.

Source: docs.pinata.cloud/api-reference; for resumable uploads PinataCloud/pinata and tus.io.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nimbus_tasks.backends.blobs.cids import PROFILES, Cids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

#: Seconds that a window of the rate limit takes.
WINDOW = 60
#: Characters of a group's name.
LONGEST_NAME = 50
SCOPES = ("org:files:read", "org:files:write", "org:groups:read", "org:groups:write")


class Options(NamedTuple):
    """How the server behaves.

    requests: a minute. profile: how files are cut. lag: seconds until the gateway has a file.
    fail_parts: every n-th part of a large file is cut off in the middle; 0: none.
    duplicates: what an upload of known bytes gives: `old`, the file that is there, or `new`, another one.
    scopes: what the token may do, as Pinata's keys have it: `org:files:read`, `org:files:write`, `org:groups:read`, ...
    """

    tokens: tuple[str, ...]
    requests: int
    profile: str
    lag: float
    fail_parts: int
    scopes: frozenset[str]
    duplicates: str


class File(NamedTuple):
    """One stored file."""

    id: str
    cid: str
    name: str
    content: bytes
    mime_type: str
    network: str
    group_id: str
    keyvalues: dict[str, str]
    created: float


class Pinata:
    """All accounts, by their tokens."""

    def __init__(self, options: Options) -> None:
        self._accounts = {token: Account(options, token) for token in options.tokens}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                self._route("/v3/files", Account.upload, "POST"),
                self._route("/v3/files/sign", Account.sign, "POST"),
                self._route("/v3/files/upload/{upload}", Account.part, "HEAD", "PATCH"),
                self._route("/v3/files/{network}", Account.listing, "GET"),
                self._route("/v3/files/{network}/{id}", Account.one, "GET", "DELETE"),
                self._route("/v3/groups/{network}", Account.groups, "GET", "POST"),
                self._route("/v3/groups/{network}/{id}", Account.group, "GET", "DELETE"),
                Route("/ipfs/{cid}", self.gateway, methods=["GET", "HEAD"]),
            ],
            exception_handlers={HTTPException: _failed},
        )

    def _route(self, path: str, do: Callable[[Account, Request], Awaitable[Response]], *methods: str) -> Route:
        async def asked(request: Request) -> Response:
            return await do(self._account(request), request)

        return Route(path, asked, methods=methods)

    def _account(self, request: Request) -> Account:
        """Return whose token, or signed URL, a request has."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        for token, account in self._accounts.items():
            if hmac.compare_digest(given.encode(), token.encode()) or account.signed(request):
                return account
        raise HTTPException(403 if "X-Grant" in request.query_params else 401, "Not authorized")

    async def gateway(self, request: Request) -> Response:
        for account in self._accounts.values():
            if file := account.public(request.path_params["cid"]):
                return _ranged(file, request.headers.get("range", ""))
        raise HTTPException(404, "no such file")


class Account:
    """One account and its files."""

    def __init__(self, options: Options, token: str) -> None:
        self._options = options
        self._token = token
        self._files: dict[str, File] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self._resumable: dict[str, tuple[bytearray, int, dict[str, str]]] = {}
        self._window, self._requests, self._parts = 0, 0, 0

    # --- uploads -----------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        granted = self._presigned(request)
        if granted is None:
            self._check(request)
        if "upload-length" in request.headers:
            return self._begin(request)
        form = await request.form()
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise HTTPException(400, "file is required")
        fields = {name: value for name, value in form.items() if isinstance(value, str)} | (granted or {})
        content = await file.read()
        stored = self._store(content, fields | {"filetype": file.content_type or "", "filename": file.filename or ""})
        return JSONResponse({"data": self._told(*stored)})

    def _begin(self, request: Request) -> Response:
        told: dict[str, str] = {}
        for each in request.headers.get("upload-metadata", "").split(","):
            name, _, value = each.strip().partition(" ")
            try:
                told[name] = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise HTTPException(400, "Upload-Metadata is malformed") from None
        upload = uuid.uuid4().hex
        self._resumable[upload] = (bytearray(), int(request.headers["upload-length"]), told)
        return Response(status_code=201, headers={"Location": f"{request.base_url}v3/files/upload/{upload}"})

    async def part(self, request: Request) -> Response:
        self._check(request)
        found = self._resumable.get(request.path_params["upload"])
        if found is None:
            raise HTTPException(404, "no such upload")
        content, length, told = found
        if request.method == "HEAD":
            return Response(headers={"Upload-Offset": str(len(content)), "Upload-Length": str(length)})
        if request.headers.get("upload-offset") != str(len(content)):
            raise HTTPException(409, "the offset is another one")
        self._parts += 1
        cut = self._options.fail_parts and self._parts % self._options.fail_parts == 0
        async for chunk in request.stream():
            content += chunk
            if cut:
                raise HTTPException(503, "cut off")
        if len(content) < length:
            return Response(status_code=204, headers={"Upload-Offset": str(len(content))})
        del self._resumable[request.path_params["upload"]]
        file, _ = self._store(bytes(content), told)
        return Response(status_code=204, headers={"Upload-Offset": str(length), "upload-cid": file.cid})

    def _store(self, content: bytes, told: dict[str, str]) -> tuple[File, bool]:
        network = told.get("network", "private")
        if network not in ("public", "private"):
            raise HTTPException(400, "network must be public or private")
        try:
            labels = json.loads(told.get("keyvalues") or "{}")
        except ValueError:
            raise HTTPException(400, "keyvalues is not JSON") from None
        group = told.get("group_id", "")
        if group and (group not in self._groups or self._groups[group]["network"] != network):
            raise HTTPException(400, "no such group")
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise HTTPException(400, "keyvalues must be an object of strings")
        cids = Cids(tuple(profile for profile in PROFILES if profile.name == self._options.profile))
        cids.update(content)
        (cid,) = cids.by_profile().values()
        for file in self._files.values():
            if (file.cid, file.network, self._options.duplicates) == (cid, network, "old"):
                return file, True
        name = told.get("name") or told.get("filename") or ""
        file = File(
            str(uuid.uuid4()), cid, name, content, told.get("filetype", ""), network, group, labels, time.time()
        )
        self._files[file.id] = file
        return file, False

    # --- presigned uploads --------------------------------------------------------------------------------

    async def sign(self, request: Request) -> Response:
        self._check(request)
        try:
            asked = json.loads(await request.body())
            told = {**asked, "until": int(asked["date"]) + int(asked["expires"])}
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "date and expires are required") from None
        encoded = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
        return JSONResponse({"data": f"{request.base_url}v3/files?X-Grant={encoded}&X-Signature={self._mac(encoded)}"})

    def signed(self, request: Request) -> bool:
        """Return whether a URL was signed for this account."""
        grant = request.query_params.get("X-Grant", "")
        return bool(grant) and hmac.compare_digest(self._mac(grant), request.query_params.get("X-Signature", ""))

    def _presigned(self, request: Request) -> dict[str, str] | None:
        grant = request.query_params.get("X-Grant")
        if grant is None:
            return None
        told = json.loads(base64.urlsafe_b64decode(grant))
        if told["until"] < time.time():
            raise HTTPException(403, "the URL has expired")
        if int(request.headers.get("content-length", "0")) > told.get("max_file_size", 1 << 60) + 4096:
            raise HTTPException(413, "the file is larger than the URL grants")
        # Sent later, these would be ignored.
        labels = json.dumps(told["keyvalues"]) if "keyvalues" in told else "{}"
        named = {name: told[name] for name in ("group_id", "network") if name in told}
        return {"keyvalues": labels, "name": told.get("filename", ""), "group_id": "", "network": "private"} | named

    def _mac(self, text: str) -> str:
        return hmac.digest(self._token.encode(), text.encode(), hashlib.sha256).hex()

    # --- everything else ------------------------------------------------------------------------------------

    async def listing(self, request: Request) -> Response:
        self._check(request, "org:files:read")
        asked = request.query_params
        found = [file for file in self._files.values() if file.network == request.path_params["network"]]
        for name in ("cid", "name", "group"):
            if name in asked:
                field = "group_id" if name == "group" else name
                found = [file for file in found if getattr(file, field) == asked[name]]
        for name, value in asked.items():
            if name.startswith("keyvalues[") and name.endswith("]"):
                found = [file for file in found if file.keyvalues.get(name[10:-1]) == value]
        found.sort(key=lambda file: file.created, reverse=asked.get("order", "DESC") == "DESC")
        start, limit = int(asked.get("pageToken", "0")), int(asked.get("limit", "10"))
        following = str(start + limit) if len(found) > start + limit else ""
        files = [self._told(file) for file in found[start : start + limit]]
        return JSONResponse({"data": {"files": files, "next_page_token": following}})

    async def one(self, request: Request) -> Response:
        self._check(request, f"org:files:{'read' if request.method == 'GET' else 'write'}")
        file = self._files.get(request.path_params["id"])
        if file is None or file.network != request.path_params["network"]:
            raise HTTPException(404, "no such file")
        if request.method == "GET":
            return JSONResponse({"data": self._told(file)})
        del self._files[file.id]
        return JSONResponse({"data": None})

    async def groups(self, request: Request) -> Response:
        network = request.path_params["network"]
        if request.method == "GET":
            self._check(request, "org:groups:read")
            groups = [group for group in self._groups.values() if group["network"] == network]
            return JSONResponse({"data": {"groups": groups, "next_page_token": ""}})
        self._check(request, "org:groups:write")
        try:
            name = json.loads(await request.body())["name"]
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "name is required") from None
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
            raise HTTPException(400, f"name must have 1 to {LONGEST_NAME} characters")
        group = {"id": str(uuid.uuid4()), "name": name, "is_public": network == "public", "network": network}
        self._groups[group["id"]] = group
        return JSONResponse({"data": group})

    async def group(self, request: Request) -> Response:
        self._check(request, f"org:groups:{'read' if request.method == 'GET' else 'write'}")
        group = self._groups.get(request.path_params["id"])
        if group is None or group["network"] != request.path_params["network"]:
            raise HTTPException(404, "no such group")
        if request.method == "DELETE":
            del self._groups[group["id"]]
            return JSONResponse({"data": None})
        return JSONResponse({"data": group})

    def public(self, cid: str) -> File | None:
        """Return a file that the gateway has."""
        for file in self._files.values():
            if file.cid == cid and file.network == "public" and time.time() >= file.created + self._options.lag:
                return file
        return None

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
            told = {"Retry-After": wait, "X-RateLimit-Limit": str(self._options.requests), "X-RateLimit-Remaining": "0"}
            raise HTTPException(429, "Too many requests", told)
        if scope not in self._options.scopes:
            raise HTTPException(403, f"the token does not have the scope {scope}")

    def _told(self, file: File, is_duplicate: bool = False) -> dict[str, Any]:
        return {
            "id": file.id,
            "cid": file.cid,
            "name": file.name,
            "created_at": datetime.fromtimestamp(file.created, UTC).isoformat(),
            "size": len(file.content),
            "number_of_files": 1,
            "mime_type": file.mime_type,
            "group_id": file.group_id or None,
            "keyvalues": file.keyvalues,
            **({"is_duplicate": True} if is_duplicate else {}),
        }


def _ranged(file: File, asked: str) -> Response:
    """Return a file, or the range of it that is asked for."""
    media_type = file.mime_type or "application/octet-stream"
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    if match is None:
        return Response(file.content, media_type=media_type)
    first, last = int(match[1]), min(int(match[2] or len(file.content)), len(file.content) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(file.content)}"})
    told = {"Content-Range": f"bytes {first}-{last}/{len(file.content)}"}
    return Response(file.content[first : last + 1], 206, told, media_type)


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {"error": {"code": error.status_code, "message": error.detail}}
    return JSONResponse(told, error.status_code, error.headers)


def parse(arguments: list[str]) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m nimbus_tasks.backends.blobs.fake_pinata", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--requests", type=int, default=500, help="requests a minute")
    parser.add_argument("--profile", choices=[profile.name for profile in PROFILES], default=PROFILES[0].name)
    parser.add_argument("--lag", type=float, default=0.0, help="seconds until the gateway has a file")
    parser.add_argument("--fail-parts", type=int, default=0, help="N: every N-th part of a large file is cut off")
    parser.add_argument("--duplicates", choices=["old", "new"], default="old", help="what known bytes give: the file")
    parser.add_argument("--scopes", default=",".join(SCOPES), help="what the token may do, with commas between")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the program that started it")
    asked = parser.parse_args(arguments)
    tokens = tuple((os.environ.get("PINATA_JWT") or secrets.token_hex(20)).split(","))
    scopes = frozenset(asked.scopes.split(","))
    return Options(tokens, asked.requests, asked.profile, asked.lag, asked.fail_parts, scopes, asked.duplicates), asked


def serve(options: Options, asked: argparse.Namespace) -> None:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", asked.port))
        listening.listen()
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"}) + "\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(Pinata(options).app(), log_level="error", access_log=False))
        if asked.until_stdin_closes:

            def wait() -> None:
                sys.stdin.read()
                server.should_exit = True

            threading.Thread(target=wait, daemon=True).start()
        server.run([listening])


if __name__ == "__main__":
    serve(*parse(sys.argv[1:]))
