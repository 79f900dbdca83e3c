"""The web pages: one document, whose scripts show what its address names. They are files of the package, in `web/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.exceptions import InternalServerException, NotFoundException
from litestar.static_files import create_static_files_router

from nimbus_tasks.server.errors import answer_api_error, answer_http_error, not_found

WEB = Path(__file__).with_name("web")
PUBLIC = {"public": True}
#: Browsers ask whether a file has changed: a new version of the program shows at once.
_ASK_AGAIN = "no-cache"


def document(status: int = 200) -> Response[bytes]:
    """Return the document of all pages. It holds nothing of a user; its scripts ask the API."""
    html = (WEB / "index.html").read_bytes()
    return Response(html, status_code=status, media_type=MediaType.HTML, headers={"cache-control": _ASK_AGAIN})


def answer_unknown_path(request: Request[Any, Any, Any], error: NotFoundException) -> Response[Any]:
    """Answer a person with a page that says so, and a program with JSON."""
    is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    return document(404) if is_page else answer_http_error(request, error)


@get(
    ["/", "/gallery", "/asset", "/deleted", "/failed-jobs", "/status", "/batches", "/keys"],
    opt=PUBLIC,
    sync_to_thread=False,
    include_in_schema=False,
)
def page() -> Response[bytes]:
    """Return the document: `/login` is a route of `accounts.py`, since links that log in are there."""
    return document()


def _ask_again(response: Response[Any]) -> Response[Any]:
    response.headers["cache-control"] = _ASK_AGAIN
    return response


def _no_file(request: Request[Any, Any, Any], _: InternalServerException) -> Response[dict[str, object]]:
    """Answer for a name that the file system refuses, such as a very long one."""
    return answer_api_error(request, not_found("file"))


ROUTES: list[Any] = [
    page,
    create_static_files_router(
        path="/static",
        directories=[WEB],
        opt=PUBLIC,
        after_request=_ask_again,
        exception_handlers={InternalServerException: _no_file},
        include_in_schema=False,
    ),
]
