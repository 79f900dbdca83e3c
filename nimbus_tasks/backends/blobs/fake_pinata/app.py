"""The routes of the API, by account, and the gateway."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nimbus_tasks.backends.blobs.fake_pinata.account import Account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from nimbus_tasks.backends.blobs.fake_pinata.files import File, Options


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
            if file := account.files.public(request.path_params["cid"]):
                return _ranged(file, request.headers.get("range", ""))
        raise HTTPException(404, "no such file")


def _ranged(file: File, asked: str) -> Response:
    """Return a file, or the range of it that is asked for."""
    media_type = file.mime_type or "application/octet-stream"
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    if match is None:
        return Response(file.content, media_type=media_type)
    first, last = int(match[1]), min(int(match[2] or len(file.content)), len(file.content) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(file.content)}"})
    headers = {"Content-Range": f"bytes {first}-{last}/{len(file.content)}"}
    return Response(file.content[first : last + 1], 206, headers, media_type)


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"code": error.status_code, "message": error.detail}}
    return JSONResponse(body, error.status_code, error.headers)
